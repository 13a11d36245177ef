//! Finds edits of a config that do not affect what the engine loaded.

use hippocamp_proto::inference::{ModelConfig, ModelInstanceGroup};

use crate::sequence_batching;

/// Whether two configs, both completed, differ at most in what the server and the scheduler are told, not the engine: how
/// many instances there are and where, how requests are batched, queues, priorities, rate limits, the response cache,
/// labels, metrics, the version policy. For a model of sequences the whole of `sequence_batching` counts as the engine's: it
/// adds tensors. Warm-up counts, too: who edits it wants to see it run.
pub fn differ_in_scheduling_only(one: &ModelConfig, other: &ModelConfig) -> bool {
    for_engine(one) == for_engine(other)
}

fn for_engine(config: &ModelConfig) -> ModelConfig {
    let mut rest = config.clone();
    if sequence_batching(config).is_none() {
        rest.scheduling_choice = None;
    }
    for output in &mut rest.output {
        output.label_filename.clear();
    }
    rest.instance_group = config.instance_group.iter().filter_map(engine_options).collect();
    rest.version_policy = None;
    rest.response_cache = None;
    rest.model_metrics = None;
    rest.metric_tags.clear();
    rest
}

/// What an instance group tells the engine beside the number and the places of its instances: mostly nothing.
fn engine_options(group: &ModelInstanceGroup) -> Option<ModelInstanceGroup> {
    let ModelInstanceGroup { profile, secondary_devices, .. } = group;
    (!profile.is_empty() || !secondary_devices.is_empty()).then(|| ModelInstanceGroup {
        kind: group.kind,
        gpus: group.gpus.clone(),
        profile: profile.clone(),
        secondary_devices: secondary_devices.clone(),
        ..ModelInstanceGroup::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hippocamp_model_config::parse;

    fn alike(one: &str, other: &str) -> bool {
        let config = |text: &str| parse(text, "config.pbtxt").unwrap().config;
        differ_in_scheduling_only(&config(one), &config(other))
    }

    #[test]
    fn what_only_the_server_reads_does_not_count() {
        let base = "max_batch_size: 4 output { name: \"o\" data_type: TYPE_FP32 dims: 1 }";
        for edit in [
            "instance_group { count: 3 kind: KIND_CPU }",
            "instance_group { rate_limiter { priority: 2 } host_policy: \"p\" }",
            "dynamic_batching { priority_levels: 2 default_queue_policy { max_queue_size: 3 } }",
            "response_cache { enable: true }",
            "version_policy { all {} }",
            "metric_tags { key: \"a\" value: \"b\" }",
        ] {
            assert!(alike(base, &format!("{base} {edit}")), "{edit}");
        }
        assert!(alike(base, &base.replace("dims", "label_filename: \"l\" dims")));
    }

    #[test]
    fn all_else_counts() {
        let base = "max_batch_size: 4 output { name: \"o\" data_type: TYPE_FP32 dims: 1 }";
        for edit in [
            "parameters { key: \"a\" value { string_value: \"b\" } }",
            "optimization { graph { level: 1 } }",
            "default_model_filename: \"m\"",
            "input { name: \"i\" data_type: TYPE_FP32 dims: 1 }",
            "instance_group { profile: \"p\" }",
            "model_warmup { name: \"w\" batch_size: 1 }",
            "sequence_batching { }",
            "model_transaction_policy { decoupled: true }",
        ] {
            assert!(!alike(base, &format!("{base} {edit}")), "{edit}");
        }
        assert!(!alike(base, &base.replace("dims: 1", "dims: 2")));
        assert!(!alike("sequence_batching { }", "sequence_batching { max_sequence_idle_microseconds: 5 }"));
    }
}
