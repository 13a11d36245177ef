//! Values of the charts with which NVIDIA deploys Triton, as values of this server's chart.

use std::fmt::Write;

use serde_json::Value;

use crate::docker::image_finding;
use crate::render::{flow, yaml_text};
use crate::yaml::{scalar, text, words};
use crate::{Finding, Form, Order, Verdict, program};

const REPOSITORY: [&str; 2] = ["--model-repository=", "--model-store="];

/// The server that such values start; `None` if they are none.
pub(crate) fn order(document: &Value) -> Option<Result<Order, String>> {
    let image = document.get("image")?;
    let flags = words(document.get("serverArgs"));
    if text(image, "imageName").is_empty() && flags.is_empty() {
        return None;
    }
    Some(read(document, image, flags))
}

fn read(document: &Value, image: &Value, mut flags: Vec<String>) -> Result<Order, String> {
    let mut order = Order::new("values of a chart of Helm", Form::Plain);
    let mut values: Vec<(String, String)> = Vec::new();
    let path = text(image, "modelRepositoryPath");
    of_image(image, &mut order, &mut values);
    of_chart(document, &mut order, &mut values);
    // Charts without a list of flags have one flag.
    if flags.is_empty() && !path.is_empty() {
        flags = vec![format!("{}{path}", REPOSITORY[0])];
    }
    order.flags = match flags.first() {
        None => return Err("the values name neither serverArgs nor image.modelRepositoryPath".to_owned()),
        Some(first) if first.starts_with("--") => flags,
        Some(_) => program::flags(&flags, &mut order.around, None)?,
    };
    order.form = Form::Helm { values };
    Ok(order)
}

/// What becomes of the values below `image`.
fn of_image(image: &Value, order: &mut Order, values: &mut Vec<(String, String)>) {
    let mut set = |name: &str, value: String| values.push((name.to_owned(), value));
    let path = text(image, "modelRepositoryPath");
    for (member, value) in image.as_object().into_iter().flatten() {
        let shown = format!("image.{member}: {}", scalar(value));
        let finding = match member.as_str() {
            "imageName" => image_finding(&scalar(value)),
            "pullPolicy" => {
                set("image", flow("", &serde_json::json!({"pullPolicy": value})));
                Finding::new(Verdict::Kept, shown, "")
            }
            // Without a number the chart takes its own, none here.
            "numGpus" if value.is_null() => {
                Finding::new(Verdict::Different, shown, "gpus, which is 0 by default")
            }
            "numGpus" => {
                let has_gpus = scalar(value) != "0";
                order.gpus |= has_gpus;
                set("gpus", flow("gpus", value));
                let why = if has_gpus { "gpus: the image is the one with CUDA" } else { "gpus" };
                Finding::new(Verdict::Different, shown, why)
            }
            "modelRepositoryServer" => {
                let volume = format!(
                    "{{nfs: {{server: {}, path: {}}}}}",
                    yaml_text(&scalar(value)),
                    flow("", &Value::from(path))
                );
                set("volume", volume);
                Finding::new(Verdict::Different, shown, "volume, which is mounted at /models")
            }
            "modelRepositoryPath" => {
                Finding::new(Verdict::Different, shown, "repository, or the folder of volume")
            }
            _ => Finding::new(Verdict::Unsupported, shown, "no value of deploy/helm"),
        };
        order.around.push(finding);
    }
}

/// What becomes of the others.
fn of_chart(document: &Value, order: &mut Order, values: &mut Vec<(String, String)>) {
    let mut set = |name: &str, value: String| values.push((name.to_owned(), value));
    for (member, value) in document.as_object().into_iter().flatten() {
        let shown = if value.is_object() { member.clone() } else { format!("{member}: {}", scalar(value)) };
        let finding = match member.as_str() {
            "image" | "serverArgs" => continue,
            "replicaCount" => {
                set("replicas", flow("replicas", value));
                Finding::new(Verdict::Different, shown, "replicas")
            }
            "service" if !text(value, "type").is_empty() => {
                set("service", format!("{{type: {}}}", yaml_text(text(value, "type"))));
                Finding::new(Verdict::Kept, shown, "")
            }
            "autoscaling" => {
                let is_on = text(value, "enabled") == "true";
                set("autoscaling", format!("{{enabled: {is_on}}}"));
                let why =
                    "by the time in the queue and by requests that wait (queueSeconds, pendingRequests)";
                Finding::new(Verdict::Different, shown, why)
            }
            "tags" | "prometheus-adapter" | "kube-prometheus-stack" | "loadBalancing" | "traefik" => {
                let why = "the chart brings no Prometheus, adapter or proxy: deploy/prometheus has rules for those that are there";
                Finding::new(Verdict::Different, shown, why)
            }
            "tolerations" | "affinity" | "nodeSelector" | "resources" | "imagePullSecrets" => {
                set(member, flow("", value));
                Finding::new(Verdict::Kept, shown, "")
            }
            "nameOverride" | "fullnameOverride" => {
                Finding::new(Verdict::Dropped, shown, "names come from the release")
            }
            _ => Finding::new(Verdict::Unsupported, shown, "no value of deploy/helm"),
        };
        order.around.push(finding);
    }
}

/// The values of this server's chart.
pub(crate) fn rewritten(values: &[(String, String)], gpus: bool, flags: &[String]) -> String {
    let repository =
        |flag: &String| REPOSITORY.iter().find_map(|name| flag.strip_prefix(name).map(str::to_owned));
    let list: Vec<Value> = flags
        .iter()
        .filter(|flag| repository(flag).is_none())
        .map(|flag| Value::from(crate::plain(flag)))
        .collect();
    let mut text = String::new();
    for (name, value) in values {
        // One member of it is the image, and another one how it is pulled.
        let value = match value.strip_prefix('{') {
            Some(rest) if name == "image" && gpus => format!("{{repository: hippocamp-cuda, {rest}"),
            _ => value.clone(),
        };
        let _ = writeln!(text, "{name}: {value}");
    }
    if gpus && values.iter().all(|(name, _)| name != "image") {
        text.push_str("image: {repository: hippocamp-cuda}\n");
    }
    if let Some(repository) = flags.iter().find_map(repository) {
        let _ = writeln!(text, "repository: {}", flow("", &Value::from(crate::plain(&repository))));
    }
    let _ = writeln!(text, "args: {}", Value::from(list));
    text
}
