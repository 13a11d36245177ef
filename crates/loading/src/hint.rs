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

/// The platforms of Triton's configs.
const PLATFORMS: [&str; 6] = [
    "onnxruntime_onnx",
    "tensorrt_plan",
    "tensorflow_graphdef",
    "tensorflow_savedmodel",
    "pytorch_libtorch",
    "ensemble",
];

/// A suggestion for the user; `None` if there is none. `models` and `backends` are the names that exist on this server.
pub fn hint(kind: &FaultKind, models: &[&str], backends: &[&str]) -> Option<String> {
    let text = match kind {
        FaultKind::UnknownField { message, .. } => {
            return Some(match meant(kind, models, backends) {
                Some(meant) => format!("write '{meant}'"),
                None => format!("the fields here are {}", field_names(message).join(", ")),
            });
        }
        FaultKind::UnknownValue { enumeration, .. } => return unknown_value(kind, enumeration),
        FaultKind::UnknownModel { wanted } => {
            return Some(match meant(kind, models, backends) {
                Some(meant) => format!("write '{meant}', or add a model '{wanted}'"),
                None => format!("add a model '{wanted}' to a repository"),
            });
        }
        FaultKind::UnknownBackend { wanted } => return unknown_backend(kind, wanted, backends),
        FaultKind::DataTypeDiffers { provided } => return Some(format!("write data_type: {provided}")),
        FaultKind::DimsDiffer { provided } => {
            return Some(format!(
                "write dims: {provided:?}, or a reshape where dims are to stay as they are"
            ));
        }
        FaultKind::Expected { field, value } => return Some(format!("write {field}: {value}")),
        FaultKind::UnknownPlatform { wanted } => {
            if TRITONS.contains(&wanted.as_str()) || backends.contains(&wanted.as_str()) {
                return Some(format!("write backend: \"{wanted}\" in its place"));
            }
            return meant(kind, models, backends).map(|meant| format!("write platform: \"{meant}\""));
        }
        FaultKind::GivenTwice => "leave one of them",
        FaultKind::NameDiffers => "rename the folder, or leave 'name' out: the folder's name is taken",
        FaultKind::NoBackend => {
            "add 'backend: \"onnxruntime\"', or put the model file into the version's folder as model.onnx"
        }
        FaultKind::NeedsGpu => {
            "its engine runs on GPUs only: serve its ONNX file, as model.onnx in the version's folder, by platform: \
             \"onnxruntime_onnx\""
        }
        FaultKind::Superfluous => "leave it out",
        FaultKind::ReshapeDiffers => {
            "write dims and shape with the same number of elements, or leave the reshape out"
        }
        FaultKind::NotBatching => "write max_batch_size: 0, and dims with the first dimension of the model",
        FaultKind::NoGpu { usable } if !usable.is_empty() => {
            let usable = usable.iter().map(i32::to_string).collect::<Vec<_>>().join(", ");
            return Some(format!("write gpus: [ {usable} ], or give the flag --cpu-fallback"));
        }
        FaultKind::NoGpu { .. } => "write KIND_CPU, or give the flag --cpu-fallback",
        FaultKind::VersionMissing => "add the folder, or take the version off the list",
        FaultKind::File(FileUse::Labels) => "add the file beside config.pbtxt, or leave label_filename out",
        FaultKind::File(FileUse::WarmUp) => "add the file to the model's folder 'warmup'",
        FaultKind::File(FileUse::InitialState) => "add the file to the model's folder 'initial_state'",
        FaultKind::Digest => "if the file is the right one, write the digest that it has",
        _ => return None,
    };
    Some(text.to_owned())
}

/// The name that was probably meant by an unknown one; `None` if nothing is near enough.
pub fn meant(kind: &FaultKind, models: &[&str], backends: &[&str]) -> Option<String> {
    let names = |known: &[String], written: &str| {
        nearest(written, known.iter().map(String::as_str)).map(str::to_owned)
    };
    match kind {
        FaultKind::UnknownField { message, written } => names(&field_names(message), written),
        FaultKind::UnknownValue { enumeration, written } => names(&value_names(enumeration), written),
        FaultKind::UnknownModel { wanted } => nearest(wanted, models.iter().copied()).map(str::to_owned),
        FaultKind::UnknownBackend { wanted } if TRITONS.contains(&wanted.as_str()) => None,
        FaultKind::UnknownBackend { wanted } => nearest(wanted, backends.iter().copied()).map(str::to_owned),
        FaultKind::UnknownPlatform { wanted } if TRITONS.contains(&wanted.as_str()) => None,
        FaultKind::UnknownPlatform { wanted } => nearest(wanted, PLATFORMS).map(str::to_owned),
        _ => None,
    }
}

fn unknown_value(kind: &FaultKind, enumeration: &str) -> Option<String> {
    let known = value_names(enumeration);
    match meant(kind, &[], &[]) {
        Some(meant) => Some(format!("write {meant}")),
        None if known.is_empty() => None,
        None => Some(format!("the values are {}", known.join(", "))),
    }
}

fn unknown_backend(kind: &FaultKind, wanted: &str, backends: &[&str]) -> Option<String> {
    if TRITONS.contains(&wanted) {
        let how = match wanted {
            "python" => "`scripts/fetch python-backend` gets it, and --backend-directory names the folder that it is then in".to_owned(),
            _ => format!("give the folder that has '{wanted}/libtriton_{wanted}.so' by --backend-directory"),
        };
        return Some(format!(
            "Triton's backend '{wanted}' is not in this server, which runs it as it is: {how}; see docs/triton-backends.md"
        ));
    }
    meant(kind, &[], backends).map(|meant| format!("write '{meant}'"))
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
                "Triton's backend 'fil' is not in this server, which runs it as it is: give the folder that has \
                 'fil/libtriton_fil.so' by --backend-directory; see docs/triton-backends.md",
            ),
            (
                FaultKind::UnknownPlatform { wanted: "onnxruntime_onx".to_owned() },
                "write platform: \"onnxruntime_onnx\"",
            ),
            (
                FaultKind::NoGpu { usable: vec![0, 2] },
                "write gpus: [ 0, 2 ], or give the flag --cpu-fallback",
            ),
            (FaultKind::DataTypeDiffers { provided: "TYPE_INT64" }, "write data_type: TYPE_INT64"),
        ] {
            assert_eq!(of(&kind).as_deref(), Some(fix), "{kind:?}");
        }
        assert_eq!(of(&backend("fai1ure")), None);
        assert_eq!(of(&FaultKind::Other), None);
    }
}
