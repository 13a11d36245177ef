//! Fills in the defaults of a config, as Triton does before it reads the model file.

use hippocamp_proto::inference::{
    ModelConfig, ModelInstanceGroup, ModelVersionPolicy, model_config::SchedulingChoice,
    model_instance_group::Kind, model_optimization_policy::PinnedMemoryBuffer,
    model_sequence_batching::StrategyChoice, model_version_policy::Latest,
    model_version_policy::PolicyChoice,
};

use crate::{DefaultFacts, platform};

/// The default of `max_sequence_idle_microseconds`.
const SEQUENCE_IDLE_MICROSECONDS: u64 = 1_000_000;

/// Fills in names, version policy, batching, pinned memory and instance groups. Doing it twice changes nothing more, so
/// it is done again after [`complete`](crate::complete()).
pub fn apply_defaults(config: &mut ModelConfig, model_name: &str, facts: &DefaultFacts) {
    if config.name.is_empty() {
        model_name.clone_into(&mut config.name);
    }
    platform::complete_names(config, facts);
    version_policy(config);
    batching(config);
    if crate::is_ensemble(config) {
        // An ensemble has no instances and no buffers of its own.
        steps(config);
        return;
    }
    let optimization = config.optimization.get_or_insert_default();
    optimization.input_pinned_memory.get_or_insert(PinnedMemoryBuffer { enable: true });
    optimization.output_pinned_memory.get_or_insert(PinnedMemoryBuffer { enable: true });
    instance_groups(config, facts);
}

/// A step that names no version means the latest; clients look for the -1.
fn steps(config: &mut ModelConfig) {
    if let Some(SchedulingChoice::EnsembleScheduling(ensemble)) = &mut config.scheduling_choice {
        for step in ensemble.step.iter_mut().filter(|step| step.model_version == 0) {
            step.model_version = -1;
        }
    }
}

fn version_policy(config: &mut ModelConfig) {
    let newest =
        || ModelVersionPolicy { policy_choice: Some(PolicyChoice::Latest(Latest { num_versions: 1 })) };
    let policy = config.version_policy.get_or_insert_with(newest);
    if let Some(PolicyChoice::Latest(latest)) = &mut policy.policy_choice
        && latest.num_versions == 0
    {
        latest.num_versions = 1;
    }
}

/// An empty list of preferred sizes means the largest batch.
pub(crate) fn batching(config: &mut ModelConfig) {
    let preferred = match &mut config.scheduling_choice {
        Some(SchedulingChoice::DynamicBatching(batching)) => &mut batching.preferred_batch_size,
        Some(SchedulingChoice::SequenceBatching(batching)) => {
            if batching.max_sequence_idle_microseconds == 0 {
                batching.max_sequence_idle_microseconds = SEQUENCE_IDLE_MICROSECONDS;
            }
            match &mut batching.strategy_choice {
                Some(StrategyChoice::Oldest(oldest)) => &mut oldest.preferred_batch_size,
                _ => return,
            }
        }
        _ => return,
    };
    if preferred.is_empty() && config.max_batch_size > 0 {
        preferred.push(config.max_batch_size);
    }
}

fn instance_groups(config: &mut ModelConfig, facts: &DefaultFacts) {
    if config.instance_group.is_empty() {
        // The only group has the model's own name; those that were written and not named are numbered.
        let only = ModelInstanceGroup { name: config.name.clone(), ..Default::default() };
        config.instance_group.push(only);
    }
    let on_cpu = facts.backend(&config.backend).cpu_instances;
    let gpus = facts.gpus_for(config);
    for (index, group) in config.instance_group.iter_mut().enumerate() {
        if group.name.is_empty() {
            group.name = format!("{}_{index}", config.name);
        }
        if group.kind() == Kind::Auto {
            let usable = !gpus.is_empty() && group.gpus.iter().all(|gpu| gpus.contains(gpu));
            group.set_kind(if usable { Kind::Gpu } else { Kind::Cpu });
            if !usable {
                // As the field's documentation has it: where not all of them can be used, instances are on the CPU.
                group.gpus.clear();
            }
        }
        if group.count < 1 {
            group.count = if group.kind() == Kind::Cpu { on_cpu } else { 1 };
        }
        if group.kind() == Kind::Gpu && group.gpus.is_empty() {
            group.gpus.clone_from(&gpus);
        }
    }
}

#[cfg(test)]
mod tests;
