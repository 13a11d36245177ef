//! What a config may ask for that this server does not do.
//!
//! Every field of a config is read and shown. One that changes what a client gets is refused until it is implemented,
//! by name; one that changes only when or how fast it gets it is passed over with a warning.

use hippocamp_backend::Result;
use hippocamp_model_config::ModelConfig;

use crate::agents;

/// Refuses a config that asks for what would be answered wrongly without it.
pub(crate) fn refuse_unsupported(name: &str, config: &ModelConfig) -> Result<()> {
    agents::refuse_unknown(name, config)
}

/// The fields that are read and shown, but have no effect.
pub(crate) fn without_effect(config: &ModelConfig) -> Vec<&'static str> {
    let asked = [
        ("cc_model_filenames", !config.cc_model_filenames.is_empty()),
        ("metric_tags", !config.metric_tags.is_empty()),
    ];
    asked.into_iter().filter(|(_, asked)| *asked).map(|(field, _)| field).collect()
}
