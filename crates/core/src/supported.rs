//! What a config may ask for that this server does not do.
//!
//! Every field of a config is read and shown. One that changes what a client gets is refused until it is implemented,
//! by name; one that changes only when or how fast it gets it is passed over with a warning.

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::ModelConfig;
use hippocamp_proto::inference::model_config::SchedulingChoice;

use crate::agents;

/// Refuses a config that asks for what would be answered wrongly without it.
pub(crate) fn refuse_unsupported(name: &str, config: &ModelConfig) -> Result<()> {
    let choice = config.scheduling_choice.as_ref();
    let asked = [
        ("sequence_batching", matches!(choice, Some(SchedulingChoice::SequenceBatching(_)))),
        ("ensemble_scheduling", matches!(choice, Some(SchedulingChoice::EnsembleScheduling(_)))),
        ("batch_input", !config.batch_input.is_empty()),
        ("batch_output", !config.batch_output.is_empty()),
    ];
    let fields: Vec<&str> = asked.iter().filter(|(_, asked)| *asked).map(|(field, _)| *field).collect();
    if fields.is_empty() {
        return agents::refuse_unknown(name, config);
    }
    Err(Error::unsupported(format!(
        "model '{name}' uses {}, which this server does not support yet",
        fields.join(", ")
    )))
}

/// The fields that are read and shown, but have no effect.
pub(crate) fn without_effect(config: &ModelConfig) -> Vec<&'static str> {
    let batching = match &config.scheduling_choice {
        Some(SchedulingChoice::DynamicBatching(batching)) => Some(batching),
        _ => None,
    };
    let groups = &config.instance_group;
    let asked = [
        ("dynamic_batching.preserve_ordering", batching.is_some_and(|b| b.preserve_ordering)),
        ("dynamic_batching.priority_levels", batching.is_some_and(|b| b.priority_levels > 0)),
        ("dynamic_batching.default_queue_policy", batching.is_some_and(|b| b.default_queue_policy.is_some())),
        ("model_warmup", !config.model_warmup.is_empty()),
        ("response_cache", config.response_cache.as_ref().is_some_and(|cache| cache.enable)),
        ("instance_group.rate_limiter", groups.iter().any(|g| g.rate_limiter.is_some())),
        ("instance_group.host_policy", groups.iter().any(|g| !g.host_policy.is_empty())),
        ("cc_model_filenames", !config.cc_model_filenames.is_empty()),
        ("metric_tags", !config.metric_tags.is_empty()),
    ];
    asked.into_iter().filter(|(_, asked)| *asked).map(|(field, _)| field).collect()
}
