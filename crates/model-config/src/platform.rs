//! Infers platform, backend and file name of a model from each other.

use crate::default_facts::BackendFormat;
use crate::triton_backends::TRITON_BACKENDS;
use crate::{DefaultFacts, ModelConfig};

/// Finds the backend of a config that names none, from the names of the files in the first version folder, or from a
/// model name of the form `anything.BACKEND`. Does nothing if backend or platform are given, or if the file name is:
/// then [`apply_defaults`](crate::apply_defaults) knows enough.
pub fn infer_backend<S: AsRef<str>>(
    config: &mut ModelConfig,
    model_name: &str,
    version_files: &[S],
    facts: &DefaultFacts,
) {
    let is_open = config.backend.is_empty() || facts.backend(&config.backend).format_is_named;
    if !config.platform.is_empty() || !is_open || !config.default_model_filename.is_empty() {
        return;
    }
    if crate::is_ensemble(config) {
        return;
    }
    let there =
        |format: &BackendFormat<'_>| version_files.iter().any(|file| file.as_ref() == format.format.filename);
    if let Some(found) = facts.formats().filter(has_platform).find(there) {
        if config.backend.is_empty() || config.backend == found.backend {
            found.format.platform.clone_into(&mut config.platform);
        }
    } else if !config.backend.is_empty() {
        // The backend has no known file name, so the backend itself finds its file.
    } else if let Some(found) = facts.formats().filter(has_no_platform).find(there) {
        found.backend.clone_into(&mut config.backend);
    } else if let Some((_, backend)) = model_name.split_once('.').filter(|(_, backend)| !backend.is_empty()) {
        backend.clone_into(&mut config.backend);
        config.default_model_filename = format!("model.{backend}");
    }
}

/// Fills in those of platform, backend and file name that follow from the others.
pub(crate) fn complete_names(config: &mut ModelConfig, facts: &DefaultFacts) {
    let is_ensemble = crate::is_ensemble(config);
    if is_ensemble && config.platform.is_empty() && config.backend.is_empty() {
        hippocamp_interface::ENSEMBLE.clone_into(&mut config.platform);
    }
    if let Some(found) = format_of(config, facts) {
        if config.platform.is_empty() {
            found.format.platform.clone_into(&mut config.platform);
        }
        if config.backend.is_empty() {
            found.backend.clone_into(&mut config.backend);
        }
        if config.default_model_filename.is_empty() {
            found.format.filename.clone_into(&mut config.default_model_filename);
        }
        return;
    }
    let mut formats = facts.formats().filter(has_no_platform);
    if config.backend.is_empty()
        && config.platform.is_empty()
        && let Some(found) = formats.find(|found| config.default_model_filename == found.format.filename)
    {
        found.backend.clone_into(&mut config.backend);
    }
    let mut formats = facts.formats().filter(has_no_platform);
    if config.default_model_filename.is_empty()
        && let Some(found) = formats.find(|found| config.backend == found.backend)
    {
        found.format.filename.clone_into(&mut config.default_model_filename);
    }
}

fn format_of<'a>(config: &ModelConfig, facts: &'a DefaultFacts) -> Option<BackendFormat<'a>> {
    let formats = || facts.formats().filter(has_platform);
    let backend_fits =
        |found: &BackendFormat<'_>| config.backend.is_empty() || config.backend == found.backend;
    if !config.platform.is_empty() {
        return formats().filter(backend_fits).find(|found| found.format.platform == config.platform);
    }
    let by_file = |found: &BackendFormat<'_>| found.format.filename == config.default_model_filename;
    let by_backend =
        |found: &BackendFormat<'_>| found.backend == config.backend && !found.facts.format_is_named;
    // If the config names a backend, its known file names identify the format. Other file names identify nothing.
    formats().filter(backend_fits).find(by_file).or_else(|| formats().find(by_backend))
}

fn has_platform(found: &BackendFormat<'_>) -> bool {
    !found.format.platform.is_empty()
}

fn has_no_platform(found: &BackendFormat<'_>) -> bool {
    !has_platform(found)
}

/// The backend of Triton that has that platform.
pub(crate) fn backend_of(platform: &str) -> Option<&'static str> {
    let mut backends = TRITON_BACKENDS.iter().filter(|_| !platform.is_empty());
    let found = backends.find(|(_, facts)| facts.formats.iter().any(|format| format.platform == platform));
    found.map(|(backend, _)| *backend)
}

/// Whether it is one of Triton's backends that have platforms, so that any other platform beside it is a mistake.
pub(crate) fn has_platforms(backend: &str) -> bool {
    let mut backends = TRITON_BACKENDS.iter().filter(|(name, _)| *name == backend);
    backends.any(|(_, facts)| facts.formats.iter().any(|format| !format.platform.is_empty()))
}

#[cfg(test)]
mod tests {
    use hippocamp_interface::{BackendFacts, ModelFormat};

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
        complete_names(&mut config, &DefaultFacts::default());
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
            infer_backend(&mut config, name, files, &DefaultFacts::default());
            complete_names(&mut config, &DefaultFacts::default());
            config
        };
        let onnx = found("m", &["model.onnx", "notes.txt"]);
        assert_eq!(names(&onnx), ("onnxruntime_onnx", "onnxruntime", "model.onnx"));
        assert_eq!(names(&found("m", &["model.py"])), ("", "python", "model.py"));
        assert_eq!(names(&found("m.identity", &[])), ("", "identity", "model.identity"));
        assert_eq!(names(&found("m", &["weights.bin"])), ("", "", ""));

        let mut given = ModelConfig { backend: "identity".into(), ..Default::default() };
        infer_backend(&mut given, "m", &["model.onnx"], &DefaultFacts::default());
        assert_eq!(names(&given), ("", "identity", ""));
    }

    #[test]
    fn a_backend_that_is_there_is_known_by_what_it_says_of_itself() {
        const MINE: BackendFacts = BackendFacts {
            formats: &[ModelFormat { platform: "mine_net", filename: "net.mine" }],
            ..BackendFacts::PLAIN
        };
        let facts = DefaultFacts { backends: [("mine".to_owned(), MINE)].into(), ..DefaultFacts::default() };
        let names_of = |mut config: ModelConfig, files: &[&str]| {
            infer_backend(&mut config, "m", files, &facts);
            complete_names(&mut config, &facts);
            (config.platform, config.backend, config.default_model_filename)
        };
        let mine = ("mine_net".to_owned(), "mine".to_owned(), "net.mine".to_owned());
        assert_eq!(names_of(ModelConfig::default(), &["net.mine", "model.plan"]), mine);
        assert_eq!(names_of(ModelConfig { platform: mine.0.clone(), ..Default::default() }, &[]), mine);
        assert_eq!(names_of(ModelConfig { backend: mine.1.clone(), ..Default::default() }, &[]), mine);
    }
}
