//! Platform, backend and file name of a model: each can be told from the others.

use crate::ModelConfig;

pub(crate) const TENSORRT_PLAN: &str = "tensorrt_plan";

/// A file format and the backend that runs it.
struct Format {
    platform: &'static str,
    backend: &'static str,
    filename: &'static str,
}

/// Of two formats of one backend the first is meant when only the backend is named; TensorFlow's has to be named.
const FORMATS: [Format; 7] = [
    Format { platform: "tensorflow_graphdef", backend: "tensorflow", filename: "model.graphdef" },
    Format { platform: "tensorflow_savedmodel", backend: "tensorflow", filename: "model.savedmodel" },
    Format { platform: TENSORRT_PLAN, backend: "tensorrt", filename: "model.plan" },
    Format { platform: "onnxruntime_onnx", backend: "onnxruntime", filename: "model.onnx" },
    Format { platform: "pytorch_libtorch", backend: "pytorch", filename: "model.pt" },
    Format { platform: "libtorch", backend: "pytorch", filename: "model.pt" },
    Format { platform: "torch_aoti", backend: "pytorch", filename: "model.pt2" },
];

/// Backends without a platform whose models are known by their file.
const FILES: [(&str, &str); 2] = [("openvino", "model.xml"), ("python", "model.py")];

/// Finds the backend of a config that names none, from the names of the files in the first version folder, or from a
/// model name of the form `anything.BACKEND`. Does nothing if backend or platform are given, or if the file name is:
/// then [`apply_defaults`](crate::apply_defaults) knows enough.
pub fn infer_backend<S: AsRef<str>>(config: &mut ModelConfig, model_name: &str, version_files: &[S]) {
    let is_open = config.backend.is_empty() || config.backend == "tensorflow";
    if !config.platform.is_empty() || !is_open || !config.default_model_filename.is_empty() {
        return;
    }
    if crate::is_ensemble(config) {
        return;
    }
    let there = |filename: &str| version_files.iter().any(|file| file.as_ref() == filename);
    if let Some(format) = FORMATS.iter().find(|format| there(format.filename)) {
        if config.backend.is_empty() || config.backend == format.backend {
            format.platform.clone_into(&mut config.platform);
        }
    } else if !config.backend.is_empty() {
        // TensorFlow without a file that it knows: left to the backend, which may have other ideas.
    } else if let Some((backend, _)) = FILES.iter().find(|(_, filename)| there(filename)) {
        (*backend).clone_into(&mut config.backend);
    } else if let Some((_, backend)) = model_name.split_once('.').filter(|(_, backend)| !backend.is_empty()) {
        backend.clone_into(&mut config.backend);
        config.default_model_filename = format!("model.{backend}");
    }
}

/// Fills in what the given ones of platform, backend and file name leave no choice about.
pub(crate) fn complete_names(config: &mut ModelConfig) {
    let is_ensemble = crate::is_ensemble(config);
    if is_ensemble && config.platform.is_empty() && config.backend.is_empty() {
        hippocamp_interface::ENSEMBLE.clone_into(&mut config.platform);
    }
    if let Some(format) = format_of(config) {
        if config.platform.is_empty() {
            format.platform.clone_into(&mut config.platform);
        }
        if config.backend.is_empty() {
            format.backend.clone_into(&mut config.backend);
        }
        if config.default_model_filename.is_empty() {
            format.filename.clone_into(&mut config.default_model_filename);
        }
        return;
    }
    let by_file = |(_, filename): &&(&str, &str)| config.default_model_filename == *filename;
    if config.backend.is_empty()
        && config.platform.is_empty()
        && let Some((backend, _)) = FILES.iter().find(by_file)
    {
        (*backend).clone_into(&mut config.backend);
    }
    let by_backend = |(backend, _): &&(&str, &str)| config.backend == *backend;
    if config.default_model_filename.is_empty()
        && let Some((_, filename)) = FILES.iter().find(by_backend)
    {
        (*filename).clone_into(&mut config.default_model_filename);
    }
}

fn format_of(config: &ModelConfig) -> Option<&'static Format> {
    let backend_fits = |format: &&Format| config.backend.is_empty() || config.backend == format.backend;
    if !config.platform.is_empty() {
        return FORMATS.iter().filter(backend_fits).find(|format| format.platform == config.platform);
    }
    let by_file = |format: &&Format| format.filename == config.default_model_filename;
    let by_backend = |format: &&Format| format.backend == config.backend && config.backend != "tensorflow";
    // With a backend named, its own file names tell its formats apart; another file name is just a name.
    FORMATS.iter().filter(backend_fits).find(by_file).or_else(|| FORMATS.iter().find(by_backend))
}

/// The backend of a platform that is known.
pub(crate) fn backend_of(platform: &str) -> Option<&'static str> {
    FORMATS.iter().find(|format| format.platform == platform).map(|format| format.backend)
}

/// Whether the backend is one that has platforms, so that any other platform beside it is a mistake.
pub(crate) fn has_platforms(backend: &str) -> bool {
    FORMATS.iter().any(|format| format.backend == backend)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(config: &ModelConfig) -> (&str, &str, &str) {
        (&config.platform, &config.backend, &config.default_model_filename)
    }

    fn completed(platform: &str, backend: &str, filename: &str) -> ModelConfig {
        let mut config = ModelConfig {
            platform: platform.into(),
            backend: backend.into(),
            default_model_filename: filename.into(),
            ..Default::default()
        };
        complete_names(&mut config);
        config
    }

    #[test]
    fn each_name_tells_the_others() {
        let onnx = ("onnxruntime_onnx", "onnxruntime", "model.onnx");
        assert_eq!(names(&completed(onnx.0, "", "")), onnx);
        assert_eq!(names(&completed("", onnx.1, "")), onnx);
        assert_eq!(names(&completed("", "", onnx.2)), onnx);
        assert_eq!(names(&completed("", "onnxruntime", "net.onnx")), (onnx.0, onnx.1, "net.onnx"));
        assert_eq!(names(&completed("", "tensorrt", "")), ("tensorrt_plan", "tensorrt", "model.plan"));
        assert_eq!(names(&completed("", "pytorch", "")), ("pytorch_libtorch", "pytorch", "model.pt"));
        assert_eq!(names(&completed("", "pytorch", "model.pt2")), ("torch_aoti", "pytorch", "model.pt2"));
        assert_eq!(names(&completed("torch_aoti", "", "")), ("torch_aoti", "pytorch", "model.pt2"));
        assert_eq!(
            names(&completed("tensorflow_savedmodel", "", "")),
            ("tensorflow_savedmodel", "tensorflow", "model.savedmodel")
        );
        assert_eq!(names(&completed("", "openvino", "")), ("", "openvino", "model.xml"));
        assert_eq!(names(&completed("", "", "model.py")), ("", "python", "model.py"));
    }

    #[test]
    fn leaves_alone_what_it_does_not_know() {
        assert_eq!(names(&completed("", "identity", "")), ("", "identity", ""));
        assert_eq!(names(&completed("", "tensorflow", "")), ("", "tensorflow", ""));
        assert_eq!(names(&completed("ensemble", "", "")), ("ensemble", "", ""));
        assert_eq!(names(&completed("caffe2_netdef", "", "")), ("caffe2_netdef", "", ""));
        assert_eq!(
            names(&completed("tensorrt_plan", "onnxruntime", "")),
            ("tensorrt_plan", "onnxruntime", "")
        );
    }

    #[test]
    fn finds_the_backend_by_the_files() {
        let found = |name: &str, files: &[&str]| {
            let mut config = ModelConfig::default();
            infer_backend(&mut config, name, files);
            complete_names(&mut config);
            config
        };
        let onnx = found("m", &["model.onnx", "notes.txt"]);
        assert_eq!(names(&onnx), ("onnxruntime_onnx", "onnxruntime", "model.onnx"));
        assert_eq!(names(&found("m", &["model.py"])), ("", "python", "model.py"));
        assert_eq!(names(&found("m.identity", &[])), ("", "identity", "model.identity"));
        assert_eq!(names(&found("m", &["weights.bin"])), ("", "", ""));

        let mut given = ModelConfig { backend: "identity".into(), ..Default::default() };
        infer_backend(&mut given, "m", &["model.onnx"]);
        assert_eq!(names(&given), ("", "identity", ""));
    }
}
