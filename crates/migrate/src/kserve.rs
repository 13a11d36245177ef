//! KServe's services, whose predictor is a format and a runtime in place of a container.

use std::fmt::Write;

use serde_json::Value;

use crate::docker::image_finding;
use crate::kubernetes::{asks_for_gpus, variable};
use crate::render::yaml_text;
use crate::yaml::{scalar, text, words};
use crate::{Finding, Form, Order, Verdict, program};

/// The formats that KServe's runtime for Triton has chosen for it where a service names no runtime; the others have runtimes of
/// their own that come first, or need the newer protocol to be led there.
const CHOSEN: [&str; 3] = ["triton", "tensorrt", "onnx"];

/// The predictors of an `InferenceService` that are Triton's, from the first version of `KFServing` on.
pub(crate) fn orders(document: &Value, place: &str) -> Result<Vec<Order>, String> {
    let paths = ["/spec/predictor", "/spec/default/predictor", "/spec/canary/predictor"];
    let mut orders = Vec::new();
    for path in paths {
        let Some(predictor) = document.pointer(path) else { continue };
        let model = predictor.get("model");
        if let Some(model) = model.filter(|model| is_triton(model)) {
            orders.push(order(place, "model", model)?);
        }
        // Older names of the same: Triton by itself, and as it was called before.
        for name in ["triton", "tensorrt"] {
            if let Some(model) = predictor.get(name) {
                orders.push(order(place, name, model)?);
            }
        }
    }
    Ok(orders)
}

/// Whether a service's model is served by Triton: by its runtime, or by its format if that leads there.
fn is_triton(model: &Value) -> bool {
    let format = model.get("modelFormat").map(|format| text(format, "name")).unwrap_or_default();
    match text(model, "runtime") {
        "" => {
            CHOSEN.contains(&format)
                || (format == "tensorflow" && text(model, "protocolVersion").contains("v2"))
        }
        runtime => runtime.contains("triton"),
    }
}

fn order(place: &str, member: &str, model: &Value) -> Result<Order, String> {
    let mut around = Vec::new();
    let mut gpus = false;
    let format = model.get("modelFormat").map(|format| text(format, "name")).filter(|name| !name.is_empty());
    if member != "model" {
        let why = "model:, with modelFormat and runtime: hippocamp, takes its place";
        around.push(Finding::new(Verdict::Different, format!("predictor.{member}"), why));
    } else if text(model, "runtime").is_empty() {
        let why = "runtime: hippocamp, of deploy/kserve/runtime.yaml, which also has one that takes the place of kserve-tritonserver by its name: then nothing has to be changed";
        around.push(Finding::new(Verdict::Different, "no runtime", why));
    }
    for (name, value) in model.as_object().into_iter().flatten() {
        match name.as_str() {
            "args" | "command" => {}
            "env" => around.extend(value.as_array().into_iter().flatten().map(variable)),
            _ => around.push(finding(name, value, &mut gpus)),
        }
    }
    let command = [words(model.get("command")), words(model.get("args"))].concat();
    let flags = match command.first() {
        Some(first) if !first.starts_with("--") => {
            program::flags(&command, &mut around, None).map_err(|why| format!("{place}: {why}"))?
        }
        _ => command,
    };
    let mut order = Order::new(place, Form::Plain);
    order.form = Form::InferenceService {
        format: format.unwrap_or("triton").to_owned(),
        protocol: Some(text(model, "protocolVersion"))
            .filter(|version| !version.is_empty())
            .map(str::to_owned),
        storage_uri: model.get("storageUri").map(scalar),
    };
    (order.gpus, order.around, order.flags) = (gpus, around, flags);
    Ok(order)
}

/// What is said of a runtime of KServe's, beside its container.
pub(crate) fn of_a_runtime(kind: &str, document: &Value) -> Vec<Finding> {
    if !matches!(kind, "ServingRuntime" | "ClusterServingRuntime") {
        return Vec::new();
    }
    let why =
        "deploy/kserve/runtime.yaml is the whole of it, also under the name of KServe's runtime for Triton";
    let mut findings = vec![Finding::new(Verdict::Kept, kind, why)];
    if document.pointer("/spec/builtInAdapter").is_some() {
        let why = "ModelMesh's adapter asks for loads as Triton takes them, which was not tried; --lazy-load is what serves more models than fit into memory";
        findings.push(Finding::new(Verdict::Unsupported, "builtInAdapter", why));
    }
    findings
}

fn finding(member: &str, value: &Value, gpus: &mut bool) -> Finding {
    let shown = if value.is_string() { format!("{member}: {}", scalar(value)) } else { member.to_owned() };
    let (verdict, why) = match member {
        "runtime" => (
            Verdict::Different,
            "hippocamp, of deploy/kserve/runtime.yaml, which also has one that takes the place of kserve-tritonserver by its name: then nothing has to be changed",
        ),
        "runtimeVersion" => (Verdict::Dropped, "the tag of Triton's image; the runtime has the image"),
        "image" => {
            return Finding {
                verdict: Verdict::Different,
                ..image_finding(value.as_str().unwrap_or_default())
            };
        }
        "modelFormat" => (Verdict::Kept, "the runtime serves onnx, tensorrt, tensorflow, pytorch and triton"),
        "storageUri" | "storage" => (Verdict::Kept, "KServe puts it at /mnt/models, which is the repository"),
        "protocolVersion" if scalar(value) == "v1" => {
            (Verdict::Unsupported, "neither server speaks KServe's first protocol")
        }
        "resources" if asks_for_gpus(value) => {
            *gpus = true;
            (Verdict::Kept, "the runtime's image has to be the one with CUDA: hippocamp-cuda")
        }
        _ => (Verdict::Kept, ""),
    };
    Finding::new(verdict, shown, why)
}

/// The lines that take the place of the predictor's.
pub(crate) fn rewritten(
    format: &str,
    protocol: Option<&str>,
    storage_uri: Option<&str>,
    args: &[String],
) -> String {
    // Without a word KServe takes the first protocol for all but its own runtimes.
    let mut text = format!(
        "spec:\n  predictor:\n    model:\n      modelFormat: {{name: {}}}\n      runtime: hippocamp\n      protocolVersion: {}\n",
        yaml_text(format),
        yaml_text(protocol.unwrap_or("v2"))
    );
    if let Some(uri) = storage_uri {
        let _ = writeln!(text, "      storageUri: {}", yaml_text(uri));
    }
    if !args.is_empty() {
        let _ = writeln!(text, "      args: {}", serde_json::to_string(args).unwrap_or_default());
    }
    text
}
