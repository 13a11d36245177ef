//! The settings of a `config.properties`.

use std::path::{Path, PathBuf};

use hippocamp_files as files;

use crate::config_keys::FILE_KEYS;
use crate::config_models::ConfiguredModel;
use crate::{config_models, properties};

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

impl LoadModels {
    /// Reads `none`, `all`, or models as NAME=FILE or FILE, separated by commas.
    pub fn parse(text: &str) -> LoadModels {
        match text.trim() {
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
    /// Of the keys `models` and `model_snapshot`, JSON by names and versions. Of each name the default version comes first.
    pub models: Vec<ConfiguredModel>,
    pub default_workers_per_model: Option<u32>,
    pub max_request_size: Option<usize>,
    pub allowed_urls: Option<String>,
    pub enable_model_api: Option<bool>,
    pub disable_token_authorization: Option<bool>,
    pub token_expiration_min: Option<u64>,
    pub enable_metrics_api: Option<bool>,
    /// Whether they are of a snapshot, which stands for `load_models`.
    pub is_snapshot: bool,
    /// What has no effect, and why, for the log.
    pub warnings: Vec<String>,
}

/// The keys that mean something here.
pub(crate) const HONOURED: &[&str] = &[
    "inference_address",
    "management_address",
    "metrics_address",
    "grpc_inference_address",
    "grpc_management_address",
    "grpc_inference_port",
    "grpc_management_port",
    "enable_grpc_ssl",
    "model_store",
    "load_models",
    "models",
    "model_snapshot",
    "default_workers_per_model",
    "max_request_size",
    "allowed_urls",
    "enable_model_api",
    "disable_token_authorization",
    "token_expiration_min",
    "enable_metrics_api",
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
        if config.is_snapshot {
            // As TorchServe does: the snapshot has all models.
            config.load_models = None;
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
            "load_models" => self.load_models = Some(LoadModels::parse(value)),
            // The snapshot comes first, in the order of keys, and wins.
            "models" if self.is_snapshot => {}
            "models" => self.take_models(config_models::models(value)?),
            "model_snapshot" => {
                self.take_models(config_models::snapshot(value)?);
                self.is_snapshot = true;
            }
            "enable_grpc_ssl" if truth(value)? => {
                return Err("false; put a proxy that ends TLS before these ports".to_owned());
            }
            "enable_grpc_ssl" => {}
            "default_workers_per_model" => self.default_workers_per_model = Some(number(value)?),
            "max_request_size" => self.max_request_size = Some(number(value)?),
            "allowed_urls" => self.allowed_urls = Some(value.to_owned()),
            "enable_model_api" => self.enable_model_api = Some(truth(value)?),
            "disable_token_authorization" => self.disable_token_authorization = Some(truth(value)?),
            "token_expiration_min" => self.token_expiration_min = Some(number(value)?),
            "enable_metrics_api" => self.enable_metrics_api = Some(truth(value)?),
            _ => self.warnings.extend(FILE_KEYS.fault(key, value)),
        }
        Ok(())
    }

    fn take_models(&mut self, (models, warnings): (Vec<ConfiguredModel>, Vec<String>)) {
        self.models = models;
        self.warnings.extend(warnings);
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
        let settings = &config.models[0].settings;
        assert_eq!((settings.min_workers, settings.batch_size), (Some(2), Some(8)));
        assert_eq!(config.warnings.len(), 2, "{:?}", config.warnings);
        assert!(config.warnings[0].starts_with("'job_queue_size' has no effect: "), "{}", config.warnings[0]);
        for (name, expected) in [("all", LoadModels::All), ("none", LoadModels::None), ("", LoadModels::None)]
        {
            assert_eq!(
                TorchServeConfig::parse(&format!("load_models={name}")).unwrap().load_models,
                Some(expected)
            );
        }
    }

    #[test]
    fn a_snapshot_stands_for_what_is_to_be_loaded() {
        let text = "load_models=all\nmodels={}\nversion=0.12.0\nmodel_snapshot={\\n\"name\"\\:\"s\",\"models\"\\:{\"n\"\\:{\"1.0\"\\:{\"marName\"\\:\"n.mar\"}}}}";
        let config = TorchServeConfig::parse(text).unwrap();
        assert_eq!((&config.load_models, config.warnings.len()), (&None, 0));
        assert_eq!((config.models.len(), &*config.models[0].mar_name), (1, "n.mar"));
    }

    #[test]
    fn every_honoured_key_is_set() {
        for key in HONOURED {
            let values = ["1", "true", "false", "{}", "{\"models\": {}}", "http://h:1"];
            let each = values.map(|value| TorchServeConfig::parse(&format!("{key}={value}")));
            assert!(
                each.iter().any(|read| read.as_ref().is_ok_and(|config| config.warnings.is_empty())),
                "{key}"
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
            ("model_snapshot={}", "model_snapshot: expected a snapshot of TorchServe"),
            ("enable_grpc_ssl=true", "enable_grpc_ssl: expected false; put a proxy"),
        ] {
            let fault = TorchServeConfig::parse(text).unwrap_err();
            assert!(fault.starts_with(expected), "{fault}");
        }
    }
}
