//! What a config may ask for that has no effect on this server, which is told in the log.

use hippocamp_model_config::ModelConfig;

/// The fields that are read and shown, but have no effect.
pub(crate) fn without_effect(config: &ModelConfig) -> Vec<&'static str> {
    let asked = [
        ("cc_model_filenames", !config.cc_model_filenames.is_empty()),
        ("metric_tags", !config.metric_tags.is_empty()),
    ];
    asked.into_iter().filter(|(_, asked)| *asked).map(|(field, _)| field).collect()
}
