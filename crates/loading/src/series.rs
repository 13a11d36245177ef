//! The labels that the metrics of a model version have.

use std::collections::{BTreeMap, BTreeSet};

use hippocamp_device::{Device, Devices};
use hippocamp_metrics::Series;
use hippocamp_model_config::ModelConfig;
use hippocamp_proto::inference::model_instance_group::Kind;
use hippocamp_repository::ModelFolder;

/// `metric_tags` as `_KEY`, the `gpu_uuid` if all instances are on one GPU, model, namespace if there are any, version: in the order of the names, as Triton has them.
pub fn series(folder: &ModelFolder, version: u64, config: &ModelConfig, devices: &Devices) -> Series {
    on_gpu(folder, version, config, only_gpu(config).and_then(|gpu| devices.gpu(gpu)))
}

/// The GPUs of a model that has instances on several, or on one and on the CPU, each with the labels of what is counted there. Empty
/// for others.
pub fn series_by_gpu(
    folder: &ModelFolder,
    version: u64,
    config: &ModelConfig,
    devices: &Devices,
) -> Vec<(i32, Series)> {
    let gpus = counted_apart(config).into_iter().filter_map(|id| devices.gpu(id));
    gpus.map(|gpu| (gpu.id, on_gpu(folder, version, config, Some(gpu)))).collect()
}

fn on_gpu(folder: &ModelFolder, version: u64, config: &ModelConfig, gpu: Option<&Device>) -> Series {
    // What is no label's name would spoil the whole page.
    let tags: BTreeMap<String, &str> =
        config.metric_tags.iter().map(|(key, value)| (label_name(key), value.as_str())).collect();
    let mut before: Vec<(&str, &str)> = tags.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    before.extend(gpu.map(|gpu| ("gpu_uuid", gpu.uuid.as_str())));
    match &folder.namespace {
        // The name without its namespace, which another model may have.
        Some(namespace) => {
            before.extend([("model", folder.folder_name.as_str()), ("namespace", namespace.as_str())]);
        }
        None => before.push(("model", folder.name.as_str())),
    }
    Series::new(&before, &[("version", version.to_string().as_str())])
}

/// The GPUs of the instance groups; `None` for a group elsewhere.
fn gpus(config: &ModelConfig) -> impl Iterator<Item = Option<i32>> {
    config.instance_group.iter().filter(|group| !group.passive).flat_map(|group| {
        let on_gpu = group.kind() == Kind::Gpu;
        let gpus = on_gpu.then(|| group.gpus.iter().copied().map(Some)).into_iter().flatten();
        gpus.chain((!on_gpu).then_some(None))
    })
}

/// The GPUs that are counted apart: all of a model that is not on one alone.
fn counted_apart(config: &ModelConfig) -> BTreeSet<i32> {
    if only_gpu(config).is_some() { BTreeSet::new() } else { gpus(config).flatten().collect() }
}

/// The GPU that all instances are on.
fn only_gpu(config: &ModelConfig) -> Option<i32> {
    let mut gpus = gpus(config);
    let first = gpus.next()??;
    gpus.all(|gpu| gpu == Some(first)).then_some(first)
}

fn label_name(key: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    std::iter::once('_').chain(key.chars().map(allowed)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_on_several_gpus_has_a_series_for_each() {
        let of = |text: &str| {
            let config = hippocamp_model_config::parse(text, "config").unwrap().config;
            counted_apart(&config).into_iter().collect::<Vec<i32>>()
        };
        assert_eq!(of("instance_group { kind: KIND_GPU gpus: [ 1, 0 ] count: 4 }"), [0, 1]);
        assert_eq!(of("instance_group [ { kind: KIND_CPU }, { kind: KIND_GPU gpus: 1 } ]"), [1]);
        assert_eq!(of("instance_group { kind: KIND_GPU gpus: 1 count: 4 }"), [0; 0], "one series");
        assert_eq!(of("instance_group { kind: KIND_CPU }"), [0; 0]);
    }

    #[test]
    fn a_model_on_one_gpu_has_its_uuid() {
        let only = |text: &str| only_gpu(&hippocamp_model_config::parse(text, "config").unwrap().config);
        assert_eq!(only("instance_group { kind: KIND_GPU gpus: 1 count: 3 }"), Some(1));
        let two = "instance_group [ { kind: KIND_GPU gpus: 1 }, { kind: KIND_GPU gpus: 1 } ]";
        assert_eq!(only(two), Some(1));
        for several in [
            "",
            "instance_group { kind: KIND_CPU }",
            "instance_group { kind: KIND_GPU gpus: [ 0, 1 ] }",
            "instance_group [ { kind: KIND_GPU gpus: 0 }, { kind: KIND_CPU } ]",
        ] {
            assert_eq!(only(several), None, "{several}");
        }
    }
}
