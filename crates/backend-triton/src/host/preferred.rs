//! Where a backend likes the instances of models whose configs do not say it.

use hippocamp_model_config::ModelConfig;
use hippocamp_proto::inference::model_instance_group::Kind;

use crate::border::InstanceKind;
use crate::life::PreferredGroup;

/// Places the one group that a config has which names none: it got the model's name, and GPUs if there are any. The first preferred
/// group counts that this machine has devices for.
pub(super) fn place(config: &mut ModelConfig, preferred: &[PreferredGroup]) {
    let name = &config.name;
    let [group] = &mut *config.instance_group else { return };
    if group.name != *name {
        return;
    }
    let has_gpus = group.kind() == Kind::Gpu;
    let Some(first) = preferred.iter().find(|group| has_gpus || group.kind != InstanceKind::Gpu) else {
        return;
    };
    let kind = match first.kind {
        InstanceKind::Auto => group.kind(),
        InstanceKind::Gpu => Kind::Gpu,
        InstanceKind::Cpu => Kind::Cpu,
        InstanceKind::Model => Kind::Model,
    };
    if kind != group.kind() {
        group.set_kind(kind);
        group.gpus.clear();
    }
    if let Some(count) = i32::try_from(first.count).ok().filter(|count| *count > 0) {
        group.count = count;
    }
}

#[cfg(test)]
mod tests {
    use hippocamp_proto::inference::ModelInstanceGroup;

    use super::*;

    fn placed(name: &str, kind: Kind, preferred: &[(InstanceKind, u64)]) -> (Kind, i32, Vec<i32>) {
        let gpus = if kind == Kind::Gpu { vec![0, 1] } else { Vec::new() };
        let group =
            ModelInstanceGroup { name: name.into(), kind: kind.into(), count: 1, gpus, ..Default::default() };
        let mut config = ModelConfig { name: "m".into(), instance_group: vec![group], ..Default::default() };
        let preferred = preferred.iter().map(|(kind, count)| PreferredGroup { kind: *kind, count: *count });
        place(&mut config, &preferred.collect::<Vec<_>>());
        let group = &config.instance_group[0];
        (group.kind(), group.count, group.gpus.clone())
    }

    #[test]
    fn the_first_kind_that_the_machine_has_devices_for_counts() {
        use InstanceKind::{Auto, Cpu, Gpu, Model};
        let both = [(Gpu, 0), (Cpu, 2)];
        assert_eq!(placed("m", Kind::Gpu, &both), (Kind::Gpu, 1, vec![0, 1]));
        assert_eq!(placed("m", Kind::Cpu, &both), (Kind::Cpu, 2, vec![]));
        assert_eq!(placed("m", Kind::Gpu, &[(Cpu, 0), (Gpu, 4)]), (Kind::Cpu, 1, vec![]));
        assert_eq!(placed("m", Kind::Gpu, &[(Model, 1)]), (Kind::Model, 1, vec![]));
        assert_eq!(placed("m", Kind::Gpu, &[(Auto, 3)]), (Kind::Gpu, 3, vec![0, 1]));
        assert_eq!(placed("m", Kind::Cpu, &[(Gpu, 4)]), (Kind::Cpu, 1, vec![]));
        assert_eq!(placed("m", Kind::Gpu, &[]), (Kind::Gpu, 1, vec![0, 1]));
        assert_eq!(placed("m_0", Kind::Gpu, &[(Cpu, 2)]), (Kind::Gpu, 1, vec![0, 1]), "somebody wrote it");
    }
}
