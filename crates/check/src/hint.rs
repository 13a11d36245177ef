//! The likely fix of a finding.

use hippocamp_core::Finding;
use hippocamp_model_config::{field_names, value_names};

use crate::nearest::nearest;

/// What would probably help. `models` and `backends` are those that there are.
pub(crate) fn of(finding: &Finding, models: &[&str], backends: &[&str]) -> Option<String> {
    let message = finding.message.as_str();
    unknown_name(message)
        .or_else(|| unknown_model(message, models))
        .or_else(|| unknown_backend(message, backends))
        .or_else(|| wrong_type(message))
        .or_else(|| simple(message).map(str::to_owned))
}

/// What stands in a pair of quotes, by its number.
fn quoted(message: &str, quote: char, number: usize) -> Option<&str> {
    message.split(quote).nth(2 * number + 1)
}

fn unknown_name(message: &str) -> Option<String> {
    if message.contains("has no field named") {
        let (of, written) = (quoted(message, '"', 0)?, quoted(message, '"', 1)?);
        let known = field_names(of);
        let meant = nearest(written, known.iter().map(String::as_str));
        return Some(match meant {
            Some(meant) => format!("write '{meant}'"),
            None => format!("the fields here are {}", known.join(", ")),
        });
    }
    if message.starts_with("Unknown enumeration value of") {
        let (written, field) = (quoted(message, '"', 0)?, quoted(message, '"', 1)?);
        // Of the enumerations of a config only this one is written in every file.
        let known = if field == "data_type" { value_names("inference.DataType") } else { Vec::new() };
        let meant = nearest(written, known.iter().map(String::as_str));
        return meant.map(|meant| format!("write {meant}"));
    }
    None
}

fn unknown_model(message: &str, models: &[&str]) -> Option<String> {
    let wanted = message.contains("which no repository has").then(|| quoted(message, '\'', 1))??;
    Some(match nearest(wanted, models.iter().copied()) {
        Some(meant) => format!("write '{meant}', or add a model '{wanted}'"),
        None => format!("add a model '{wanted}' to a repository"),
    })
}

fn unknown_backend(message: &str, backends: &[&str]) -> Option<String> {
    let wanted = message.split_once("there is no backend '")?.1.split('\'').next()?;
    nearest(wanted, backends.iter().copied()).map(|meant| format!("write '{meant}'"))
}

fn wrong_type(message: &str) -> Option<String> {
    let (_, provided) = message.split_once("model provides TYPE_")?;
    let provided: String = provided.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    message.contains("expects datatype").then(|| format!("write data_type: TYPE_{provided}"))
}

const CPU_FALLBACK: &str = "write KIND_CPU, or start server and check with --cpu-fallback";

fn simple(message: &str) -> Option<&'static str> {
    const FIXES: [(&str, &str); 12] = [
        (
            "directory name must equal model name",
            "rename the folder, or leave 'name' out: the folder's name is taken",
        ),
        (
            "at least one version must be available",
            "make a folder '1' with the model file in it, or widen the policy",
        ),
        ("there is no folder for version", "add the folder, or take the version off the list"),
        (
            "Could not determine backend",
            "add 'backend: \"onnxruntime\"', or put the model file into the version's folder as model.onnx",
        ),
        ("there is no label file", "add the file beside config.pbtxt, or leave label_filename out"),
        ("there is no warm-up file", "add the file to the model's folder 'warmup'"),
        ("Mismatched", "if the file is the right one, write the digest that it has"),
        ("failed to stat file", "put the model file there, or name it by default_model_filename"),
        (
            "its model file was not looked into",
            "name the engine's library, or check configs alone by --configs-only",
        ),
        ("has kind KIND_GPU but", CPU_FALLBACK),
        ("specifies invalid or unsupported gpu id", CPU_FALLBACK),
        ("specified multiple times", "leave one of them"),
    ];
    FIXES.iter().find(|(part, _)| message.contains(part)).map(|(_, fix)| *fix)
}

#[cfg(test)]
mod tests {
    use hippocamp_core::Severity;

    use super::*;

    fn hint(message: &str) -> Option<String> {
        let finding = Finding {
            severity: Severity::Error,
            line: 0,
            column: 0,
            field: String::new(),
            message: message.to_owned(),
        };
        of(&finding, &["resnet50", "preprocess"], &["onnxruntime", "identity"])
    }

    #[test]
    fn names_what_was_probably_meant() {
        for (message, fix) in [
            (
                "Message type \"inference.ModelConfig\" has no field named \"max_batch\".",
                "write 'max_batch_size'",
            ),
            ("Unknown enumeration value of \"FP32\" for field \"data_type\".", "write TYPE_FP32"),
            (
                "ensemble 'e' wants model 'resnet-50', which no repository has",
                "write 'resnet50', or add a model 'resnet-50'",
            ),
            ("ensemble 'e' wants model 'x', which no repository has", "add a model 'x' to a repository"),
            ("unable to load model 'm', there is no backend 'onnx'; there are: ...", "write 'onnxruntime'"),
            (
                "unable to load model 'm', configuration expects datatype TYPE_FP32 for input 'x', model provides TYPE_INT64",
                "write data_type: TYPE_INT64",
            ),
        ] {
            assert_eq!(hint(message).as_deref(), Some(fix), "{message}");
        }
        let known = hint("Message type \"inference.ModelMetrics\" has no field named \"zzzzzz\".").unwrap();
        assert_eq!(known, "the fields here are metric_control");
        assert_eq!(hint("something else"), None);
    }
}
