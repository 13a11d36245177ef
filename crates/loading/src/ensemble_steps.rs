//! The steps of an ensemble, read from a config that was not validated.

use hippocamp_model_config as model_config;

/// The steps of an ensemble's config. The list is empty if the config is not an ensemble's, or cannot be read.
pub fn steps_of(text: Option<&str>, json: Option<&str>) -> Vec<model_config::Step> {
    let config = match (json, text) {
        (Some(json), _) => model_config::from_json(json).ok(),
        (None, Some(text)) => model_config::parse(text, "config").ok().map(|parsed| parsed.config),
        (None, None) => None,
    };
    let steps = config.as_ref().and_then(model_config::ensemble_scheduling);
    steps.map(|steps| steps.step.clone()).unwrap_or_default()
}
