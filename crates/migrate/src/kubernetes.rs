//! Containers of manifests of Kubernetes, and of KServe's runtimes and services.

use serde_json::Value;

use crate::docker::{concerns, image_finding};
use crate::yaml::{scalar, text, words};
use crate::{Finding, Form, Order, Verdict, environment, kserve, probes, program};

/// The servers of a manifest; none of one that has no containers.
pub(crate) fn orders(document: &Value) -> Result<Vec<Order>, String> {
    let kind = text(document, "kind");
    if kind == "List" {
        let items = document.get("items").and_then(Value::as_array).into_iter().flatten();
        return Ok(items.map(orders).collect::<Result<Vec<_>, _>>()?.concat());
    }
    let place = format!("{kind} {}", document.pointer("/metadata/name").map(scalar).unwrap_or_default());
    let services = if kind == "InferenceService" { kserve::orders(document, &place)? } else { Vec::new() };
    if !services.is_empty() {
        return Ok(services);
    }
    let pod = ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec", "/spec/predictor", "/spec"];
    let spec =
        pod.iter().filter_map(|path| document.pointer(path)).find(|spec| spec.get("containers").is_some());
    let containers = spec.and_then(|spec| spec.get("containers")).and_then(Value::as_array);
    let mut orders = Vec::new();
    for container in containers.into_iter().flatten() {
        let command = [words(container.get("command")), words(container.get("args"))].concat();
        if concerns(text(container, "image"), &command) {
            let mut order =
                order(kind, &place, container, &command).map_err(|why| format!("{place}: {why}"))?;
            let class = spec.map(|spec| text(spec, "runtimeClassName")).unwrap_or_default();
            order.gpus |= class.contains("nvidia");
            order.around.extend(spec.into_iter().flat_map(of_the_pod));
            order.around.extend(kserve::of_a_runtime(kind, document));
            orders.push(order);
        }
    }
    Ok(orders)
}

fn order(kind: &str, place: &str, container: &Value, command: &[String]) -> Result<Order, String> {
    let name = text(container, "name");
    let title = if name.is_empty() { "the container".to_owned() } else { format!("container {name}") };
    let mut order = Order::new(format!("{title} of {place}"), Form::Plain);
    for (member, value) in container.as_object().into_iter().flatten() {
        match member.as_str() {
            "name" | "args" => {}
            "env" => {
                for entry in value.as_array().into_iter().flatten() {
                    order.gpus |= environment::gives_gpus(text(entry, "name"), text(entry, "value"));
                    order.around.push(variable(entry));
                }
            }
            _ => order.around.push(finding(member, value, &mut order.gpus)),
        }
    }
    // What ends when it has done its work is asked nothing, unless somebody wants it.
    let serves = !matches!(kind, "Job" | "CronJob");
    let probes = probes::of(container, serves, &mut order.around);
    order.form = Form::Kubernetes { container: name.to_owned(), probes };
    order.flags = match command.first() {
        Some(first) if first.starts_with("--") => command.to_vec(),
        Some(_) => program::flags(command, &mut order.around, None)?,
        None => {
            return Err("it has neither command nor args, and Triton's images start no server by themselves"
                .to_owned());
        }
    };
    Ok(order)
}

fn finding(member: &str, value: &Value, gpus: &mut bool) -> Finding {
    let (verdict, why) = match member {
        "image" => return image_finding(value.as_str().unwrap_or_default()),
        "command" => (Verdict::Dropped, "the image starts the server itself; its flags are args"),
        "resources" if asks_for_gpus(value) => {
            *gpus = true;
            (Verdict::Kept, "the image is the one with CUDA")
        }
        name if probes::NAMES.contains(&name) => return probes::finding(name, value),
        "lifecycle" => (
            Verdict::Different,
            "preStop is not needed: --drain-delay-secs serves on as one that is not ready",
        ),
        "securityContext" => (Verdict::Kept, "runAsNonRoot, a read-only root and no capabilities are enough"),
        "volumeMounts" => (Verdict::Kept, "what the server reads has to be readable by user 65532"),
        _ => (Verdict::Kept, ""),
    };
    Finding::new(verdict, member, why)
}

/// Whether resources have a GPU of NVIDIA, or a part of one, by a limit or by a claim.
pub(crate) fn asks_for_gpus(resources: &Value) -> bool {
    let text = resources.to_string();
    text.contains("nvidia.com") || (resources.get("claims").is_some() && text.contains("gpu"))
}

pub(crate) fn variable(entry: &Value) -> Finding {
    let name = text(entry, "name");
    match entry.get("value") {
        Some(value) => environment::finding(name, Some(&scalar(value))),
        None => Finding { what: format!("{name} (valueFrom)"), ..environment::finding(name, None) },
    }
}

/// What concerns the container, of its pod.
fn of_the_pod(spec: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    let volumes = spec.get("volumes").and_then(Value::as_array).into_iter().flatten();
    if volumes
        .clone()
        .any(|volume| volume.pointer("/emptyDir/medium").is_some_and(|medium| medium == "Memory"))
    {
        let why = "only for clients that use shared memory, which --allow-client-shm=true lets them, and for Python models";
        findings.push(Finding::new(Verdict::Different, "a volume in memory (/dev/shm)", why));
    }
    if let Some(seconds) = spec.get("terminationGracePeriodSeconds") {
        let why = "longer than --exit-timeout-secs and --drain-delay-secs together";
        findings.push(Finding::new(
            Verdict::Kept,
            format!("terminationGracePeriodSeconds: {}", scalar(seconds)),
            why,
        ));
    }
    findings
}
