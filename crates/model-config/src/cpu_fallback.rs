//! Places GPU instances elsewhere if the machine does not have their GPUs.

use hippocamp_proto::inference::ModelInstanceGroup;
use hippocamp_proto::inference::model_instance_group::Kind;

use crate::{DefaultFacts, ModelConfig, WithoutGpu};

/// An instance group that is not where the config places it, for a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// The group of that name is on the CPU.
    ToCpu(String),
    /// The group of that name is on the GPUs that there are, without these.
    Without(String, Vec<i32>),
}

/// Places those instance groups elsewhere whose GPUs cannot be used: on those of their GPUs that can be, or else on the CPU. Their
/// counts stay as they are: a count of a GPU group is one for each GPU.
///
/// Without `is_allowed` only the groups of engines that take a GPU for a wish are moved. Those of engines that need a GPU
/// are never moved to the CPU.
pub fn fall_back_to_cpu(config: &mut ModelConfig, facts: &DefaultFacts, is_allowed: bool) -> Vec<Moved> {
    let mut moved = Vec::new();
    let without_gpu = facts.backend(&config.backend).without_gpu;
    if !is_allowed && without_gpu != WithoutGpu::OnCpu {
        return moved;
    }
    let usable = facts.gpus_for(config);
    for (index, group) in config.instance_group.iter_mut().enumerate() {
        if group.kind() != Kind::Gpu {
            continue;
        }
        let name = || title(&config.name, index, group);
        let (there, missing): (Vec<i32>, Vec<i32>) = group.gpus.iter().partition(|gpu| usable.contains(gpu));
        if !missing.is_empty() && !there.is_empty() {
            moved.push(Moved::Without(name(), missing));
            group.gpus = there;
        } else if (usable.is_empty() || !missing.is_empty()) && without_gpu != WithoutGpu::Impossible {
            moved.push(Moved::ToCpu(name()));
            group.set_kind(Kind::Cpu);
            group.gpus.clear();
        }
    }
    moved
}

fn title(model: &str, index: usize, group: &ModelInstanceGroup) -> String {
    if group.name.is_empty() { format!("{model}_{index}") } else { group.name.clone() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::BackendFacts;

    const TEXT: &str = r#"
        name: "m" backend: "b"
        instance_group [ { kind: KIND_GPU gpus: [0, 1] count: 16 }, { name: "here" kind: KIND_GPU gpus: [0] },
            { name: "far" kind: KIND_GPU gpus: 7 }, { name: "any" kind: KIND_GPU }, { kind: KIND_CPU },
            { kind: KIND_MODEL } ]"#;

    fn fall_back(facts: &DefaultFacts, is_allowed: bool) -> (Vec<Moved>, Vec<Kind>, ModelConfig) {
        let mut config = crate::parse(TEXT, "config").expect("it is well-formed").config;
        let moved = fall_back_to_cpu(&mut config, facts, is_allowed);
        let kinds: Vec<Kind> = config.instance_group.iter().map(ModelInstanceGroup::kind).collect();
        assert_eq!(config.instance_group[0].count, 16);
        assert!(config.instance_group.iter().all(|g| g.gpus.is_empty() || g.kind() == Kind::Gpu));
        (moved, kinds, config)
    }

    fn with(facts: &DefaultFacts, without_gpu: WithoutGpu) -> DefaultFacts {
        let mut facts = facts.clone();
        let of = facts.backends.get("b").copied().unwrap_or(BackendFacts::PLAIN);
        facts.backends.insert("b".to_owned(), BackendFacts { without_gpu, ..of });
        facts
    }

    fn to_cpu(name: &str) -> Moved {
        Moved::ToCpu(name.to_owned())
    }

    #[test]
    fn moves_groups_whose_gpus_are_not_there_and_no_others() {
        let one = DefaultFacts::with_gpus("b", &[0]);
        let (moved, kinds, config) = fall_back(&one, true);
        assert_eq!(moved, [Moved::Without("m_0".to_owned(), vec![1]), to_cpu("far")]);
        assert_eq!(kinds, [Kind::Gpu, Kind::Gpu, Kind::Cpu, Kind::Gpu, Kind::Cpu, Kind::Model]);
        assert_eq!(config.instance_group[0].gpus, [0], "what is there is used");
        for none in [DefaultFacts::default(), DefaultFacts { backends: BTreeMap::new(), ..one }] {
            let (moved, kinds, _) = fall_back(&none, true);
            assert_eq!(moved, ["m_0", "here", "far", "any"].map(to_cpu));
            assert_eq!(kinds[..5], [Kind::Cpu; 5]);
        }
    }

    #[test]
    fn the_engine_says_what_is_possible() {
        let (none, one) = (DefaultFacts::default(), DefaultFacts::with_gpus("b", &[0]));
        assert_eq!(fall_back(&none, false).0, [], "it has to be allowed");
        let soft = fall_back(&with(&none, WithoutGpu::OnCpu), false);
        assert_eq!(soft.0, ["m_0", "here", "far", "any"].map(to_cpu), "it is a wish");
        let (moved, kinds, _) = fall_back(&with(&one, WithoutGpu::Impossible), true);
        assert_eq!(moved, [Moved::Without("m_0".to_owned(), vec![1])]);
        assert_eq!(kinds[2], Kind::Gpu, "it would not run on the CPU");
        assert_eq!(fall_back(&with(&none, WithoutGpu::Impossible), true).0, []);
    }
}
