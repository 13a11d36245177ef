//! Services of a Compose file.

use serde_json::Value;

use crate::docker::{concerns, image_finding};
use crate::yaml::{scalar, text, words};
use crate::{Finding, Form, Order, Verdict, environment, program};

/// The servers among the services.
pub(crate) fn orders(document: &Value) -> Result<Vec<Order>, String> {
    let services = document.get("services").and_then(Value::as_object);
    let mut orders = Vec::new();
    for (name, service) in services.into_iter().flatten() {
        let command = [words(service.get("entrypoint")), words(service.get("command"))].concat();
        if concerns(text(service, "image"), &command) {
            orders.push(order(name, service, &command).map_err(|why| format!("service {name}: {why}"))?);
        }
    }
    Ok(orders)
}

fn order(name: &str, service: &Value, command: &[String]) -> Result<Order, String> {
    let form = Form::Compose { service: name.to_owned() };
    let mut order = Order::new(format!("service {name} of a Compose file"), form);
    for (member, value) in service.as_object().into_iter().flatten() {
        match member.as_str() {
            "command" => {}
            "environment" => order.around.extend(variables(value, &mut order.gpus)),
            _ => {
                let finding = finding(member, value, &mut order.gpus);
                order.around.push(finding);
            }
        }
    }
    order.flags = match command.first() {
        Some(first) if first.starts_with("--") => command.to_vec(),
        Some(_) => program::flags(command, &mut order.around, None)?,
        None => return Err("it has no command, and Triton's images start no server by themselves".to_owned()),
    };
    Ok(order)
}

fn finding(member: &str, value: &Value, gpus: &mut bool) -> Finding {
    let (verdict, why) = match member {
        "image" => return image_finding(value.as_str().unwrap_or_default()),
        "build" => (
            Verdict::Unsupported,
            "an image of your own: what it has beside the server has to come otherwise",
        ),
        "entrypoint" | "working_dir" => (Verdict::Dropped, "the image starts the server itself"),
        "shm_size" | "ipc" => (
            Verdict::Different,
            "only for clients that use shared memory, which --allow-client-shm=true lets them, and for Python models",
        ),
        "security_opt" if value.to_string().contains("label") => {
            (Verdict::Kept, "SELinux would keep the server from volumes and devices")
        }
        "ulimits" | "cap_add" | "privileged" | "security_opt" => {
            (Verdict::Dropped, "the server needs no such rights")
        }
        "healthcheck" => (
            Verdict::Different,
            "the image has no shell and no curl: let the proxy ask /v2/health/ready, as deploy/compose does",
        ),
        "runtime" | "gpus" | "deploy" | "devices"
            if value.to_string().contains("nvidia")
                || value.to_string().contains("gpu")
                || member == "gpus" =>
        {
            *gpus = true;
            (Verdict::Kept, "the image is the one with CUDA")
        }
        "volumes" => (Verdict::Kept, "what the server reads has to be readable by user 65532"),
        "stop_grace_period" => {
            (Verdict::Kept, "longer than --exit-timeout-secs and --drain-delay-secs together")
        }
        _ => (Verdict::Kept, ""),
    };
    let shown = if value.is_object() { String::new() } else { format!(": {}", scalar(value)) };
    Finding::new(verdict, format!("{member}{shown}"), why)
}

/// A mapping, or a list of `NAME=VALUE`; a name without a value has the one outside.
fn variables(value: &Value, gpus: &mut bool) -> Vec<Finding> {
    let mut finding = |name: &str, value: Option<&str>| {
        *gpus |= environment::gives_gpus(name, value.unwrap_or_default());
        environment::finding(name, value)
    };
    match value {
        Value::Object(members) => {
            let value = |value: &Value| Some(scalar(value)).filter(|_| !value.is_null());
            members.iter().map(|(name, given)| finding(name, value(given).as_deref())).collect()
        }
        Value::Array(entries) => entries
            .iter()
            .map(|entry| {
                let entry = scalar(entry);
                let (name, value) =
                    entry.split_once('=').map_or((&*entry, None), |(name, value)| (name, Some(value)));
                finding(name, value)
            })
            .collect(),
        _ => Vec::new(),
    }
}
