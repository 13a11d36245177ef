//! Containers of manifests of Kubernetes, and of KServe's runtimes and services.

use serde_json::Value;

use crate::docker::{concerns, image_finding};
use crate::yaml::{scalar, text, words};
use crate::{Finding, Form, Order, Verdict, environment, program};

/// The servers of a manifest; none of one that has no containers.
pub(crate) fn orders(document: &Value) -> Result<Vec<Order>, String> {
    let kind = text(document, "kind");
    if kind == "List" {
        let items = document.get("items").and_then(Value::as_array).into_iter().flatten();
        return Ok(items.map(orders).collect::<Result<Vec<_>, _>>()?.concat());
    }
    let place = format!("{kind} {}", document.pointer("/metadata/name").map(scalar).unwrap_or_default());
    let predictor = document.pointer("/spec/predictor");
    if let Some(triton) = predictor.and_then(|predictor| predictor.get("triton")) {
        return Ok(vec![kserve(&place, triton)?]);
    }
    let pod = ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec", "/spec/predictor", "/spec"];
    let spec =
        pod.iter().filter_map(|path| document.pointer(path)).find(|spec| spec.get("containers").is_some());
    let containers = spec.and_then(|spec| spec.get("containers")).and_then(Value::as_array);
    let mut orders = Vec::new();
    for container in containers.into_iter().flatten() {
        let command = [words(container.get("command")), words(container.get("args"))].concat();
        if concerns(text(container, "image"), &command) {
            let mut order = order(&place, container, &command).map_err(|why| format!("{place}: {why}"))?;
            order.around.extend(spec.into_iter().flat_map(of_the_pod));
            orders.push(order);
        }
    }
    Ok(orders)
}

fn order(place: &str, container: &Value, command: &[String]) -> Result<Order, String> {
    let name = text(container, "name");
    let mut order = Order {
        place: format!("container {name} of {place}"),
        form: Form::Kubernetes { container: name.to_owned() },
        gpus: false,
        front: Vec::new(),
        around: Vec::new(),
        flags: Vec::new(),
    };
    for (member, value) in container.as_object().into_iter().flatten() {
        match member.as_str() {
            "name" | "args" => {}
            "env" => order.around.extend(value.as_array().into_iter().flatten().map(variable)),
            _ => order.around.push(finding(member, value, &mut order.gpus)),
        }
    }
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

/// The older form of KServe's services, which names Triton instead of a runtime.
fn kserve(place: &str, triton: &Value) -> Result<Order, String> {
    let why = "model: with modelFormat and runtime: hippocamp takes its place (deploy/kserve)";
    let mut around = vec![Finding::new(Verdict::Different, "predictor.triton", why)];
    if let Some(uri) = triton.get("storageUri") {
        around.push(Finding::new(Verdict::Kept, format!("storageUri: {}", scalar(uri)), "below model:"));
    }
    let flags = [words(triton.get("args")), vec!["--model-repository=/mnt/models".to_owned()]].concat();
    let gpus = triton.get("resources").is_some_and(|resources| resources.to_string().contains("nvidia.com"));
    let flags = if flags.first().is_some_and(|first| first.starts_with("--")) {
        flags
    } else {
        program::flags(&flags, &mut around, None)?
    };
    Ok(Order {
        place: place.to_owned(),
        form: Form::Kubernetes { container: "kserve-container".to_owned() },
        gpus,
        front: Vec::new(),
        around,
        flags,
    })
}

fn finding(member: &str, value: &Value, gpus: &mut bool) -> Finding {
    let (verdict, why) = match member {
        "image" => return image_finding(value.as_str().unwrap_or_default()),
        "command" => (Verdict::Dropped, "the image starts the server itself; its flags are args"),
        "resources" if value.to_string().contains("nvidia.com") => {
            *gpus = true;
            (Verdict::Kept, "the image is the one with CUDA")
        }
        "livenessProbe" | "readinessProbe" | "startupProbe" if value.get("exec").is_some() => (
            Verdict::Different,
            "the image has no shell: httpGet of /v2/health/live and /v2/health/ready, or grpc on port 8001",
        ),
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

fn variable(entry: &Value) -> Finding {
    let name = text(entry, "name");
    match entry.get("value") {
        Some(value) => environment::finding(name, &scalar(value)),
        None => Finding { what: format!("{name} (valueFrom)"), ..environment::finding(name, "") },
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
