//! Fields of a config that this server ignores with a warning, and fields that it accepts from the repository only.

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::{BATCH_STRATEGY, ModelConfig, engine_place};

/// The fields of this config that have no effect.
pub fn without_effect(config: &ModelConfig) -> Vec<&'static str> {
    let is_tensorrt = config.backend == "tensorrt" || config.platform == "tensorrt_plan";
    let secondary = config.instance_group.iter().any(|group| !group.secondary_devices.is_empty());
    let asked = [
        ("cc_model_filenames", !config.cc_model_filenames.is_empty() && !is_tensorrt),
        ("instance_group.secondary_devices", secondary),
    ];
    asked.into_iter().filter(|(_, asked)| *asked).map(|(field, _)| field).collect()
}

/// The parameter of Python models that names a folder whose script is executed when the model is loaded.
const PYTHON_ENVIRONMENT: &str = "EXECUTION_ENV_PATH";

/// Refuses a config of a load request that names a library, of operators or of a backend, or an environment of Python, or a file
/// to an engine: only those who can write to the repository may have code executed, and other files than the model's used.
pub fn refuse_libraries(name: &str, config: &ModelConfig) -> Result<()> {
    if let Some(setting) = engine_place(config) {
        return Err(Error::unsupported(format!(
            "the config of the load request for model '{name}' has the setting '{setting}' of an engine, which may name a file; \
             only a config in the model repository may have it"
        )));
    }
    if config.parameters.contains_key(PYTHON_ENVIRONMENT) {
        return Err(Error::unsupported(format!(
            "the config of the load request for model '{name}' has the parameter {PYTHON_ENVIRONMENT}; only a config in the \
             model repository may name an environment"
        )));
    }
    if config.parameters.contains_key(BATCH_STRATEGY) {
        return Err(Error::unsupported(format!(
            "the config of the load request for model '{name}' has the parameter {BATCH_STRATEGY}; only a config in the \
             model repository may name a library"
        )));
    }
    if !config.runtime.is_empty() {
        return Err(Error::unsupported(format!(
            "the config of the load request for model '{name}' names the backend library '{}' as its runtime; only a config in \
             the model repository may name one",
            config.runtime
        )));
    }
    match config.model_operations.iter().flat_map(|operations| &operations.op_library_filename).next() {
        None => Ok(()),
        Some(library) => Err(Error::unsupported(format!(
            "the config of the load request for model '{name}' names the operator library '{library}'; only a config in the \
             model repository may name one"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use hippocamp_repository::ModelFolder;

    use crate::{Context, prepare};

    #[test]
    fn only_a_config_on_disk_names_operator_libraries() {
        let text = "backend: \"onnxruntime\" model_operations { op_library_filename: \"ops.so\" }";
        let json = r#"{"backend": "onnxruntime", "model_operations": {"op_library_filename": ["ops.so"]}}"#;
        let repository = tempfile::tempdir().unwrap();
        let model = repository.path().join("m");
        std::fs::create_dir_all(model.join("1")).unwrap();
        std::fs::write(model.join("config.pbtxt"), text).unwrap();
        let folder = ModelFolder::read("m", &model, None).unwrap();
        let prepare = |json: Option<&str>| prepare(&Context::for_tests(), folder.clone(), json).map(drop);
        prepare(None).unwrap();
        assert_eq!(
            prepare(Some(json)).unwrap_err().reason(),
            "Unsupported: the config of the load request for model 'm' names the operator library 'ops.so'; only a config in \
             the model repository may name one"
        );
        let json = r#"{"backend": "onnxruntime", "runtime": "libtriton_onnxruntime.so"}"#;
        assert_eq!(
            prepare(Some(json)).unwrap_err().reason(),
            "Unsupported: the config of the load request for model 'm' names the backend library 'libtriton_onnxruntime.so' \
             as its runtime; only a config in the model repository may name one"
        );
        let json =
            r#"{"backend": "onnxruntime", "parameters": {"EXECUTION_ENV_PATH": {"string_value": "/tmp/x"}}}"#;
        assert_eq!(
            prepare(Some(json)).unwrap_err().reason(),
            "Unsupported: the config of the load request for model 'm' has the parameter EXECUTION_ENV_PATH; only a config in \
             the model repository may name an environment"
        );
        let json = r#"{"backend": "onnxruntime", "parameters": {"TRITON_BATCH_STRATEGY_PATH": {"string_value": "/tmp/x"}}}"#;
        let told = prepare(Some(json)).unwrap_err().reason();
        assert!(
            told.contains("has the parameter TRITON_BATCH_STRATEGY_PATH; only a config in the"),
            "{told}"
        );
        let key = "session.model_external_initializers_file_folder_path";
        let json =
            format!(r#"{{"backend": "onnxruntime", "parameters": {{"{key}": {{"string_value": "/etc"}}}}}}"#);
        let told = prepare(Some(&json)).unwrap_err().reason();
        assert!(told.contains(&format!("the setting '{key}' of an engine, which may name a file")), "{told}");
        prepare(Some(r#"{"backend": "onnxruntime"}"#)).unwrap();
    }
}
