//! The settings of a `config.properties`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hippocamp_files as files;

use crate::properties;

/// The most bytes of such a file.
const MAX_FILE: u64 = 1 << 20;

/// Which archives are loaded at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LoadModels {
    /// None; clients register them.
    #[default]
    None,
    /// All of the model store.
    All,
    /// These: the name, if one is given, and the file.
    Listed(Vec<(Option<String>, String)>),
}

/// What of a `config.properties` means something here. `None` for what it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the key of that name")]
pub struct TorchServeConfig {
    pub inference_address: Option<(String, u16)>,
    pub management_address: Option<(String, u16)>,
    pub metrics_address: Option<(String, u16)>,
    pub grpc_inference_address: Option<String>,
    pub grpc_management_address: Option<String>,
    pub grpc_inference_port: Option<u16>,
    pub grpc_management_port: Option<u16>,
    pub model_store: Option<PathBuf>,
    pub load_models: Option<LoadModels>,
    /// Of the key `models`, JSON by names and versions.
    pub models: Vec<ConfiguredModel>,
    pub default_workers_per_model: Option<u32>,
    pub max_request_size: Option<usize>,
    pub allowed_urls: Option<String>,
    pub enable_model_api: Option<bool>,
    pub disable_token_authorization: Option<bool>,
    pub token_expiration_min: Option<u64>,
    pub enable_metrics_api: Option<bool>,
    /// The keys that are passed over, for the log.
    pub passed_over: Vec<String>,
}

/// A model of the key `models`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the key of that name")]
pub struct ConfiguredModel {
    pub name: String,
    pub mar_name: String,
    pub min_workers: Option<u32>,
    pub batch_size: Option<u32>,
    pub max_batch_delay: Option<u32>,
}

/// Keys of things that are otherwise here: Python workers, Netty, logging.
const WITHOUT_MEANING: &[&str] = &[
    "async_logging",
    "number_of_netty_threads",
    "netty_client_threads",
    "vmargs",
    "job_queue_size",
    "number_of_gpu",
    "default_response_timeout",
    "default_startup_timeout",
    "unregister_model_timeout",
    "prefer_direct_buffer",
    "install_py_dep_per_model",
    "metrics_mode",
    "metrics_config",
    "model_snapshot",
    "workflow_store",
    "initial_worker_port",
    "decode_input_request",
    "limit_max_image_pixels",
    "enable_envvars_config",
    "max_response_size",
    "disable_system_metrics",
];

impl TorchServeConfig {
    /// Reads a file. The error says what is wrong, and with which key.
    pub fn read(path: &Path) -> Result<TorchServeConfig, String> {
        let text = files::read_text(path, MAX_FILE)
            .map_err(|error| format!("'{}' cannot be read: {error}", path.display()))?;
        TorchServeConfig::parse(&text).map_err(|fault| format!("'{}': {fault}", path.display()))
    }

    /// Reads the text of a file.
    pub fn parse(text: &str) -> Result<TorchServeConfig, String> {
        let mut config = TorchServeConfig::default();
        for (key, value) in properties::parse(text) {
            config
                .set(&key, &value)
                .map_err(|expected| format!("{key}: expected {expected}, got '{value}'"))?;
        }
        Ok(config)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "inference_address" => self.inference_address = Some(address(value, 8080)?),
            "management_address" => self.management_address = Some(address(value, 8081)?),
            "metrics_address" => self.metrics_address = Some(address(value, 8082)?),
            "grpc_inference_address" => self.grpc_inference_address = Some(value.to_owned()),
            "grpc_management_address" => self.grpc_management_address = Some(value.to_owned()),
            "grpc_inference_port" => self.grpc_inference_port = Some(number(value)?),
            "grpc_management_port" => self.grpc_management_port = Some(number(value)?),
            "model_store" => self.model_store = (!value.is_empty()).then(|| value.into()),
            "load_models" => self.load_models = Some(load_models(value)),
            "models" => self.models = models(value)?,
            "default_workers_per_model" => self.default_workers_per_model = Some(number(value)?),
            "max_request_size" => self.max_request_size = Some(number(value)?),
            "allowed_urls" => self.allowed_urls = Some(value.to_owned()),
            "enable_model_api" => self.enable_model_api = Some(truth(value)?),
            "disable_token_authorization" => self.disable_token_authorization = Some(truth(value)?),
            "token_expiration_min" => self.token_expiration_min = Some(number(value)?),
            "enable_metrics_api" => self.enable_metrics_api = Some(truth(value)?),
            _ if WITHOUT_MEANING.contains(&key) => {}
            _ => self.passed_over.push(key.to_owned()),
        }
        Ok(())
    }
}

fn number<T: std::str::FromStr>(value: &str) -> Result<T, String> {
    value.parse().map_err(|_| "a number".to_owned())
}

fn truth(value: &str) -> Result<bool, String> {
    value.to_ascii_lowercase().parse().map_err(|_| "true or false".to_owned())
}

/// The host and port of a URL such as `http://127.0.0.1:8080`.
fn address(value: &str, default_port: u16) -> Result<(String, u16), String> {
    if value.starts_with("https://") {
        return Err("an http:// address; put a proxy that ends TLS before it".to_owned());
    }
    let rest = value.strip_prefix("http://").unwrap_or(value).trim_end_matches('/');
    let expected = || "an address such as http://127.0.0.1:8080".to_owned();
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| expected())?),
        _ => (rest, default_port),
    };
    if host.is_empty() || host.contains('/') {
        return Err(expected());
    }
    Ok((host.trim_matches(['[', ']']).to_owned(), port))
}

fn load_models(value: &str) -> LoadModels {
    match value.trim() {
        none if none.is_empty() || none.eq_ignore_ascii_case("none") => LoadModels::None,
        all if all.eq_ignore_ascii_case("all") => LoadModels::All,
        list => {
            let each = list.split(',').map(str::trim).filter(|model| !model.is_empty());
            let model = |model: &str| match model.split_once('=') {
                Some((name, file)) => (Some(name.trim().to_owned()), file.trim().to_owned()),
                None => (None, model.to_owned()),
            };
            LoadModels::Listed(each.map(model).collect())
        }
    }
}

fn models(value: &str) -> Result<Vec<ConfiguredModel>, String> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        mar_name: Option<String>,
        min_workers: Option<u32>,
        batch_size: Option<u32>,
        max_batch_delay: Option<u32>,
    }
    let named: BTreeMap<String, BTreeMap<String, Version>> =
        serde_json::from_str(value).map_err(|error| format!("JSON by names and versions ({error})"))?;
    let mut models = Vec::new();
    for (name, versions) in named {
        for version in versions.into_values() {
            let Version { mar_name, min_workers, batch_size, max_batch_delay } = version;
            let mar_name = mar_name.unwrap_or_else(|| format!("{name}.mar"));
            models.push(ConfiguredModel {
                name: name.clone(),
                mar_name,
                min_workers,
                batch_size,
                max_batch_delay,
            });
        }
    }
    Ok(models)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_files_of_torchserve() {
        let text = "inference_address=http://0.0.0.0:8080\nmanagement_address=http://[::1]:9000\nmetrics_address=http://localhost\n\
            grpc_inference_port=7070\nenable_model_api=true\nload_models=fd1=trt_fd1.mar, b.mar\njob_queue_size=7\nunheard_of=1\n\
            models={\"n\": {\"1.0\": {\"defaultVersion\": true, \"marName\": \"n.mar\", \"minWorkers\": 2, \"batchSize\": 8}}}";
        let config = TorchServeConfig::parse(text).unwrap();
        assert_eq!(config.inference_address, Some(("0.0.0.0".to_owned(), 8080)));
        assert_eq!(config.management_address, Some(("::1".to_owned(), 9000)));
        assert_eq!(config.metrics_address, Some(("localhost".to_owned(), 8082)));
        assert_eq!(config.enable_model_api, Some(true));
        let listed = vec![(Some("fd1".to_owned()), "trt_fd1.mar".to_owned()), (None, "b.mar".to_owned())];
        assert_eq!(config.load_models, Some(LoadModels::Listed(listed)));
        assert_eq!((config.models[0].min_workers, config.models[0].batch_size), (Some(2), Some(8)));
        assert_eq!(config.passed_over, ["unheard_of"]);
        for (name, expected) in [("all", LoadModels::All), ("none", LoadModels::None), ("", LoadModels::None)]
        {
            assert_eq!(
                TorchServeConfig::parse(&format!("load_models={name}")).unwrap().load_models,
                Some(expected)
            );
        }
    }

    #[test]
    fn says_which_key_is_wrong() {
        for (text, expected) in [
            ("grpc_inference_port=x", "grpc_inference_port: expected a number, got 'x'"),
            ("enable_model_api=maybe", "enable_model_api: expected true or false, got 'maybe'"),
            ("inference_address=http://h:x", "inference_address: expected an address"),
            ("inference_address=https://h:1", "inference_address: expected an http:// address"),
            ("models=[]", "models: expected JSON"),
        ] {
            let fault = TorchServeConfig::parse(text).unwrap_err();
            assert!(fault.starts_with(expected), "{fault}");
        }
    }
}
