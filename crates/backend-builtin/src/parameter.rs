//! Numeric parameters of a config.

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::{ModelConfig, parameter};

/// The value of an integer parameter; 0 if the config does not have it.
pub(crate) fn number(model: &str, config: &ModelConfig, key: &str) -> Result<u64> {
    let Some(text) = parameter(config, key) else { return Ok(0) };
    text.trim().parse().map_err(|_| {
        Error::invalid_arg(format!(
            "parameter '{key}' of model '{model}' was expected to be a whole number, got '{text}'"
        ))
    })
}
