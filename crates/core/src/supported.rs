//! What a config may ask for that this server does not do.
//!
//! Every field of a config is read and shown. One that changes what a client gets is refused until it is implemented,
//! by name; one that changes only when or how fast it gets it is passed over with a warning.

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::ModelConfig;

/// Refuses a config that asks for what would be answered wrongly without it.
pub(crate) fn refuse_unsupported(name: &str, config: &ModelConfig) -> Result<()> {
    let asked = [(
        "model_repository_agents",
        config.model_repository_agents.as_ref().is_some_and(|a| !a.agents.is_empty()),
    )];
    let fields: Vec<&str> = asked.iter().filter(|(_, asked)| *asked).map(|(field, _)| *field).collect();
    if fields.is_empty() {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "model '{name}' uses {}, which this server does not support yet",
        fields.join(", ")
    )))
}

/// The fields that are read and shown, but have no effect.
pub(crate) fn without_effect(config: &ModelConfig) -> Vec<&'static str> {
    let asked = [
        ("cc_model_filenames", !config.cc_model_filenames.is_empty()),
        ("metric_tags", !config.metric_tags.is_empty()),
    ];
    asked.into_iter().filter(|(_, asked)| *asked).map(|(field, _)| field).collect()
}
