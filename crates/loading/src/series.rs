//! The labels that the metrics of a model version have.

use std::collections::BTreeMap;

use hippocamp_device::Devices;
use hippocamp_metrics::Series;
use hippocamp_model_config::ModelConfig;
use hippocamp_proto::inference::model_instance_group::Kind;
use hippocamp_repository::ModelFolder;

/// `metric_tags` as `_KEY`, the `gpu_uuid` if all instances are on one GPU, model, namespace if there are any, version: in the order of the names, as Triton has them.
pub fn series(folder: &ModelFolder, version: u64, config: &ModelConfig, devices: &Devices) -> Series {
    // What is no label's name would spoil the whole page.
    let tags: BTreeMap<String, &str> =
        config.metric_tags.iter().map(|(key, value)| (label_name(key), value.as_str())).collect();
    let mut before: Vec<(&str, &str)> = tags.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    before
        .extend(only_gpu(config).and_then(|gpu| devices.gpu(gpu)).map(|gpu| ("gpu_uuid", gpu.uuid.as_str())));
    match &folder.namespace {
        // The name without its namespace, which another model may have.
        Some(namespace) => {
            before.extend([("model", folder.folder_name.as_str()), ("namespace", namespace.as_str())]);
        }
        None => before.push(("model", folder.name.as_str())),
    }
    Series::new(&before, &[("version", version.to_string().as_str())])
}

/// The GPU that all instances are on. Triton counts each GPU of a model apart; here a model on several GPUs has one series
/// without the label.
fn only_gpu(config: &ModelConfig) -> Option<i32> {
    let mut gpus = config.instance_group.iter().filter(|group| !group.passive).flat_map(|group| {
        let on_gpu = group.kind() == Kind::Gpu;
        let gpus = on_gpu.then(|| group.gpus.iter().copied().map(Some)).into_iter().flatten();
        gpus.chain((!on_gpu).then_some(None))
    });
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
