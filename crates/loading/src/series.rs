//! The labels that the metrics of a model version have.

use std::collections::BTreeMap;

use hippocamp_metrics::Series;
use hippocamp_model_config::ModelConfig;
use hippocamp_repository::ModelFolder;

/// `metric_tags` as `_KEY`, model, namespace if there are any, version: in the order of the names, as Triton has them.
pub fn series(folder: &ModelFolder, version: u64, config: &ModelConfig) -> Series {
    // What is no label's name would spoil the whole page.
    let tags: BTreeMap<String, &str> =
        config.metric_tags.iter().map(|(key, value)| (label_name(key), value.as_str())).collect();
    let mut before: Vec<(&str, &str)> = tags.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    match &folder.namespace {
        // The name without its namespace, which another model may have.
        Some(namespace) => {
            before.extend([("model", folder.folder_name.as_str()), ("namespace", namespace.as_str())]);
        }
        None => before.push(("model", folder.name.as_str())),
    }
    Series::new(&before, &[("version", version.to_string().as_str())])
}

fn label_name(key: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    std::iter::once('_').chain(key.chars().map(allowed)).collect()
}
