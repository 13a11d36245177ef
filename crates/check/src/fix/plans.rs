//! TensorRT plans on a machine that cannot run them, beside which the ONNX file lies that they were built from.

use std::path::Path;

use hippocamp_core::Finding;
use hippocamp_model_config::{Edit, FaultKind, ModelConfig};

use super::cures::{remove, set};

const PLATFORM: &str = "tensorrt_plan";
const BACKEND: &str = "tensorrt";
const ONNX_FILE: &str = "model.onnx";

/// Whether the config, as it is written, is one of the backend's.
pub(super) fn is_of(config: &ModelConfig, backend: &str) -> bool {
    let of_platform = match config.platform.as_str() {
        PLATFORM => BACKEND,
        "onnxruntime_onnx" => "onnxruntime",
        "tensorflow_graphdef" | "tensorflow_savedmodel" => "tensorflow",
        _ => "",
    };
    config.backend == backend || of_platform == backend
}

/// Whether the finding is that a plan has no GPU to run on.
pub(super) fn has_no_gpu(config: &ModelConfig, finding: &Finding) -> bool {
    finding.kind == FaultKind::NeedsGpu && is_of(config, BACKEND)
}

/// The edits that have the ONNX file served instead; none if the model is no plan, or a version has no such file.
pub(super) fn as_onnx(config: &ModelConfig, folder: &Path) -> Vec<Edit> {
    if !is_of(config, BACKEND) || !each_version_has_onnx(folder) {
        return Vec::new();
    }
    let mut edits = Vec::new();
    if !config.platform.is_empty() {
        edits.push(set("platform", "\"onnxruntime_onnx\"".to_owned()));
    }
    if !config.backend.is_empty() {
        edits.push(set("backend", "\"onnxruntime\"".to_owned()));
    }
    if !config.default_model_filename.is_empty() {
        edits.push(remove("default_model_filename"));
    }
    if !config.cc_model_filenames.is_empty() {
        edits.push(remove("cc_model_filenames"));
    }
    let profiles = config.instance_group.iter().enumerate().filter(|(_, group)| !group.profile.is_empty());
    edits.extend(profiles.map(|(index, _)| remove(&format!("instance_group[{index}].profile"))));
    edits
}

fn each_version_has_onnx(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let is_version = |name: &str| name.parse::<u64>().is_ok_and(|version| version > 0);
    let versions = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut versions = versions.filter(|name| is_version(name)).peekable();
    versions.peek().is_some() && versions.all(|version| folder.join(version).join(ONNX_FILE).is_file())
}
