//! Reads a config as it was written, before any defaults.

use std::path::Path;

use hippocamp_backend::{Error, Result};
use hippocamp_files as files;
use hippocamp_model_config::{self as model_config, ModelConfig, Spans};

use crate::faults::bad_config;

/// A config as somebody wrote it.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// The name of the config in messages, such as its path.
    pub(crate) origin: String,
    pub(crate) config: ModelConfig,
    /// The places of the fields in the text; `None` for JSON, and for a model without a config.
    pub(crate) spans: Option<Spans>,
}

impl Written {
    /// Reads `json` if it is given, else the file at `path`. Returns an empty config if neither is given.
    pub(crate) fn read(path: Option<&Path>, json: Option<&str>) -> Result<Written> {
        match (json, path) {
            (Some(json), _) => {
                let config = model_config::from_json(json).map_err(bad_config)?;
                Ok(Written { origin: "config".to_owned(), config, spans: None })
            }
            (None, Some(path)) => {
                let origin = path.display().to_string();
                let text = files::read_text(path, files::TEXT_LIMIT)
                    .map_err(|e| Error::internal(format!("failed to read '{origin}': {e}")).with_source(e))?;
                let parsed = model_config::parse(&text, &origin).map_err(bad_config)?;
                Ok(Written { origin, config: parsed.config, spans: Some(parsed.spans) })
            }
            (None, None) => {
                Ok(Written { origin: "config".to_owned(), config: ModelConfig::default(), spans: None })
            }
        }
    }
}
