//! The properties of Triton's backends, for configs that name a backend which this server does not have.
//!
//! Such a config gets the defaults that Triton gives it, so that the error of its load names the missing backend. The properties
//! that a backend of this server states take precedence.

use hippocamp_interface::{BackendFacts, ModelFormat};

/// The platform that some rules of configs are about.
pub(crate) const TENSORRT_PLAN: &str = "tensorrt_plan";

/// In the order in which Triton looks for their files.
pub(crate) const TRITON_BACKENDS: [(&str, BackendFacts); 6] = [
    (
        "tensorflow",
        BackendFacts {
            formats: &[
                format("tensorflow_graphdef", "model.graphdef"),
                format("tensorflow_savedmodel", "model.savedmodel"),
            ],
            format_is_named: true,
            cpu_instances: 2,
            ..BackendFacts::PLAIN
        },
    ),
    ("tensorrt", with_formats(&[format(TENSORRT_PLAN, "model.plan")])),
    (
        "onnxruntime",
        BackendFacts { cpu_instances: 2, ..with_formats(&[format("onnxruntime_onnx", "model.onnx")]) },
    ),
    (
        "pytorch",
        with_formats(&[
            format("pytorch_libtorch", "model.pt"),
            format("libtorch", "model.pt"),
            format("torch_aoti", "model.pt2"),
        ]),
    ),
    ("openvino", with_formats(&[format("", "model.xml")])),
    ("python", with_formats(&[format("", "model.py")])),
];

const fn format(platform: &'static str, filename: &'static str) -> ModelFormat {
    ModelFormat { platform, filename }
}

const fn with_formats(formats: &'static [ModelFormat]) -> BackendFacts {
    BackendFacts { formats, ..BackendFacts::PLAIN }
}
