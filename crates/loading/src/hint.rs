//! Suggestions: the likely fix of a fault, chosen by its [`FaultKind`].

mod nearest;

use hippocamp_model_config::{FaultKind, FileUse, field_names, value_names};
use nearest::nearest;

/// Backends of Triton. A config that names one of them means it, so no other name is suggested.
const TRITONS: [&str; 11] = [
    "dali",
    "fil",
    "openvino",
    "pytorch",
    "python",
    "tensorflow",
    "tensorrt",
    "tensorrtllm",
    "vllm",
    "rapids",
    "onnxruntime",
];

/// A suggestion for the user; `None` if there is none. `models` and `backends` are the names that exist on this server.
pub fn hint(kind: &FaultKind, models: &[&str], backends: &[&str]) -> Option<String> {
    let text = match kind {
        FaultKind::UnknownField { message, written } => {
            let known = field_names(message);
            match nearest(written, known.iter().map(String::as_str)) {
                Some(meant) => return Some(format!("write '{meant}'")),
                None => return Some(format!("the fields here are {}", known.join(", "))),
            }
        }
        FaultKind::UnknownValue { enumeration, written } => return unknown_value(enumeration, written),
        FaultKind::UnknownModel { wanted } => {
            return Some(match nearest(wanted, models.iter().copied()) {
                Some(meant) => format!("write '{meant}', or add a model '{wanted}'"),
                None => format!("add a model '{wanted}' to a repository"),
            });
        }
        FaultKind::UnknownBackend { wanted } => return unknown_backend(wanted, backends),
        FaultKind::DataTypeDiffers { provided } => return Some(format!("write data_type: {provided}")),
        FaultKind::GivenTwice => "leave one of them",
        FaultKind::NameDiffers => "rename the folder, or leave 'name' out: the folder's name is taken",
        FaultKind::NoBackend => {
            "add 'backend: \"onnxruntime\"', or put the model file into the version's folder as model.onnx"
        }
        FaultKind::NoGpu => "write KIND_CPU, or give the flag --cpu-fallback",
        FaultKind::VersionMissing => "add the folder, or take the version off the list",
        FaultKind::File(FileUse::Labels) => "add the file beside config.pbtxt, or leave label_filename out",
        FaultKind::File(FileUse::WarmUp) => "add the file to the model's folder 'warmup'",
        FaultKind::File(FileUse::InitialState) => "add the file to the model's folder 'initial_state'",
        FaultKind::Digest => "if the file is the right one, write the digest that it has",
        _ => return None,
    };
    Some(text.to_owned())
}

fn unknown_value(enumeration: &str, written: &str) -> Option<String> {
    let known = value_names(enumeration);
    match nearest(written, known.iter().map(String::as_str)) {
        Some(meant) => Some(format!("write {meant}")),
        None if known.is_empty() => None,
        None => Some(format!("the values are {}", known.join(", "))),
    }
}

fn unknown_backend(wanted: &str, backends: &[&str]) -> Option<String> {
    if TRITONS.contains(&wanted) {
        return Some(format!(
            "Triton's backend '{wanted}' is not in this server; docs/from-triton.md says what to do instead"
        ));
    }
    nearest(wanted, backends.iter().copied()).map(|meant| format!("write '{meant}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &FaultKind) -> Option<String> {
        hint(kind, &["resnet50", "preprocess"], &["onnxruntime", "identity", "fail"])
    }

    #[test]
    fn names_what_was_probably_meant() {
        let field = |message: &str, written: &str| FaultKind::UnknownField {
            message: message.to_owned(),
            written: written.to_owned(),
        };
        let value = |written: &str| FaultKind::UnknownValue {
            enumeration: "inference.DataType".to_owned(),
            written: written.to_owned(),
        };
        let model = |wanted: &str| FaultKind::UnknownModel { wanted: wanted.to_owned() };
        let backend = |wanted: &str| FaultKind::UnknownBackend { wanted: wanted.to_owned() };
        for (kind, fix) in [
            (field("inference.ModelConfig", "max_batch"), "write 'max_batch_size'"),
            (field("inference.ModelMetrics", "zzzzzz"), "the fields here are metric_control"),
            (value("FP32"), "write TYPE_FP32"),
            (model("resnet-50"), "write 'resnet50', or add a model 'resnet-50'"),
            (model("x"), "add a model 'x' to a repository"),
            (backend("onnx"), "write 'onnxruntime'"),
            (
                backend("fil"),
                "Triton's backend 'fil' is not in this server; docs/from-triton.md says what to do instead",
            ),
            (FaultKind::DataTypeDiffers { provided: "TYPE_INT64" }, "write data_type: TYPE_INT64"),
        ] {
            assert_eq!(of(&kind).as_deref(), Some(fix), "{kind:?}");
        }
        assert_eq!(of(&backend("fai1ure")), None);
        assert_eq!(of(&FaultKind::Other), None);
    }
}
