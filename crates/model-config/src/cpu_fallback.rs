//! Places GPU instances on the CPU if the machine does not have their GPUs.

use hippocamp_proto::inference::model_instance_group::Kind;

use crate::{DefaultFacts, ModelConfig};

/// Places those instance groups on the CPU whose GPUs cannot be used. Their counts stay as they are: a count of a GPU group
/// is one for each GPU. Returns the names of these groups, for a warning: they are slower than the config
/// suggests.
pub fn fall_back_to_cpu(config: &mut ModelConfig, facts: &DefaultFacts) -> Vec<String> {
    let mut moved = Vec::new();
    let gpus = facts.gpus_for(&config.backend);
    for (index, group) in config.instance_group.iter_mut().enumerate() {
        let usable = !gpus.is_empty() && group.gpus.iter().all(|gpu| gpus.contains(gpu));
        if group.kind() != Kind::Gpu || usable {
            continue;
        }
        group.set_kind(Kind::Cpu);
        group.gpus.clear();
        moved.push(if group.name.is_empty() {
            format!("{}_{index}", config.name)
        } else {
            group.name.clone()
        });
    }
    moved
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hippocamp_proto::inference::ModelInstanceGroup;

    use super::*;

    #[test]
    fn moves_groups_whose_gpus_are_not_there_and_no_others() {
        let text = r#"
            name: "m" backend: "b"
            instance_group [ { kind: KIND_GPU gpus: [0, 1] count: 16 }, { name: "here" kind: KIND_GPU gpus: [0] },
                { name: "any" kind: KIND_GPU }, { kind: KIND_CPU }, { kind: KIND_MODEL } ]"#;
        let config = crate::parse(text, "config").expect("it is well-formed").config;
        let fall_back = |facts: &DefaultFacts| {
            let mut config = config.clone();
            let moved = fall_back_to_cpu(&mut config, facts);
            let kinds: Vec<Kind> = config.instance_group.iter().map(ModelInstanceGroup::kind).collect();
            assert_eq!(config.instance_group[0].count, 16);
            assert!(config.instance_group.iter().all(|g| g.gpus.is_empty() || g.kind() == Kind::Gpu));
            (moved, kinds)
        };
        let one = DefaultFacts::with_gpus("b", &[0]);
        let (moved, kinds) = fall_back(&one);
        assert_eq!(moved, ["m_0"]);
        assert_eq!(kinds, [Kind::Cpu, Kind::Gpu, Kind::Gpu, Kind::Cpu, Kind::Model]);
        for none in [DefaultFacts::default(), DefaultFacts { backends: BTreeMap::new(), ..one }] {
            let (moved, kinds) = fall_back(&none);
            assert_eq!(moved, ["m_0", "here", "any"]);
            assert_eq!(kinds, [Kind::Cpu, Kind::Cpu, Kind::Cpu, Kind::Cpu, Kind::Model]);
        }
    }
}
