use hippocamp_proto::inference::{
    ModelConfig, ModelInstanceGroup, model_config::SchedulingChoice, model_instance_group::Kind,
    model_version_policy::PolicyChoice,
};

use super::{DefaultFacts, apply_defaults};
use crate::parse;

fn completed(text: &str, gpus: &[i32]) -> ModelConfig {
    let mut config = parse(text, "c").unwrap().config;
    let facts = DefaultFacts::with_gpus(&config.backend, gpus);
    apply_defaults(&mut config, "m", &facts);
    let once = config.clone();
    apply_defaults(&mut config, "m", &facts);
    assert_eq!(config, once, "a second time changes nothing");
    config
}

fn groups(text: &str, gpus: &[i32]) -> Vec<(String, Kind, i32, Vec<i32>)> {
    let shown = |group: ModelInstanceGroup| (group.name.clone(), group.kind(), group.count, group.gpus);
    completed(text, gpus).instance_group.into_iter().map(shown).collect()
}

#[test]
fn the_only_group_has_the_name_of_the_model() {
    let onnx = "backend: \"onnxruntime\"";
    assert_eq!(groups(onnx, &[]), [("m".into(), Kind::Cpu, 2, vec![])]);
    assert_eq!(groups(onnx, &[0, 1]), [("m".into(), Kind::Gpu, 1, vec![0, 1])]);
    assert_eq!(groups("backend: \"python\"", &[]), [("m".into(), Kind::Cpu, 1, vec![])]);
}

#[test]
fn written_groups_are_numbered_and_placed() {
    let text = "backend: \"onnxruntime\"\ninstance_group [ { }, { name: \"mine\" kind: KIND_CPU count: 3 }, \
                { gpus: 1 }, { gpus: 7 }, { kind: KIND_MODEL count: -1 } ]";
    assert_eq!(
        groups(text, &[0, 1]),
        [
            ("m_0".into(), Kind::Gpu, 1, vec![0, 1]),
            ("mine".into(), Kind::Cpu, 3, vec![]),
            ("m_2".into(), Kind::Gpu, 1, vec![1]),
            ("m_3".into(), Kind::Cpu, 2, vec![]),
            ("m_4".into(), Kind::Model, 1, vec![]),
        ]
    );
    let mut config = parse("instance_group { }", "c").unwrap().config;
    apply_defaults(&mut config, "m", &DefaultFacts::with_gpus("another", &[0]));
    assert_eq!(config.instance_group[0].kind(), Kind::Cpu);
}

#[test]
fn the_newest_version_is_served() {
    let policy = |text: &str| completed(text, &[]).version_policy.unwrap().policy_choice;
    let newest = |choice| matches!(choice, Some(PolicyChoice::Latest(latest)) if latest.num_versions == 1);
    assert!(newest(policy("")));
    assert!(newest(policy("version_policy { latest { } }")));
    assert!(matches!(policy("version_policy { all { } }"), Some(PolicyChoice::All(_))));
}

#[test]
fn batches_are_filled() {
    let preferred = |text: &str| match completed(text, &[]).scheduling_choice {
        Some(SchedulingChoice::DynamicBatching(batching)) => batching.preferred_batch_size,
        Some(SchedulingChoice::SequenceBatching(batching)) => {
            assert_eq!(batching.max_sequence_idle_microseconds, 1_000_000);
            match batching.strategy_choice {
                Some(super::StrategyChoice::Oldest(oldest)) => oldest.preferred_batch_size,
                _ => vec![-1],
            }
        }
        _ => vec![-2],
    };
    assert_eq!(preferred("max_batch_size: 8 dynamic_batching { }"), [8]);
    assert_eq!(preferred("max_batch_size: 8 dynamic_batching { preferred_batch_size: [ 2, 4 ] }"), [2, 4]);
    assert_eq!(preferred("dynamic_batching { }"), [0; 0]);
    assert_eq!(preferred("max_batch_size: 8 sequence_batching { oldest { } }"), [8]);
    assert_eq!(preferred("max_batch_size: 8 sequence_batching { direct { } }"), [-1]);
    assert_eq!(preferred("max_batch_size: 8"), [-2]);
}

#[test]
fn ensembles_get_no_instances_and_no_buffers() {
    let steps = "step { model_name: \"n\" } step { model_name: \"o\" model_version: 3 }";
    let config = completed(&format!("ensemble_scheduling {{ {steps} }}"), &[0]);
    let versions =
        super::super::ensemble_scheduling(&config).unwrap().step.iter().map(|step| step.model_version);
    assert_eq!(versions.collect::<Vec<_>>(), [-1, 3], "none means the latest");
    assert_eq!(
        (config.name.as_str(), config.platform.as_str(), config.backend.as_str()),
        ("m", "ensemble", "")
    );
    assert_eq!((config.instance_group.len(), config.optimization), (0, None));
    assert!(config.version_policy.is_some());
}

#[test]
fn pinned_memory_can_be_switched_off() {
    let config =
        completed("optimization { input_pinned_memory { enable: false } priority: PRIORITY_MAX }", &[]);
    let optimization = config.optimization.unwrap();
    assert!(!optimization.input_pinned_memory.unwrap().enable);
    assert!(optimization.output_pinned_memory.unwrap().enable);
}
