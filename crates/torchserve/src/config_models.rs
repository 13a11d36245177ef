//! The models of a `config.properties`: those of the key `models`, and of the snapshots that TorchServe writes.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::config_keys::nearest;

/// A model of the key `models`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the key of that name")]
pub struct ConfiguredModel {
    pub name: String,
    pub mar_name: String,
    pub min_workers: Option<u32>,
    pub batch_size: Option<u32>,
    pub max_batch_delay: Option<u32>,
}

/// What is read of a version, and the members that are not.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    #[serde(default, rename = "defaultVersion", alias = "default_version")]
    is_default: bool,
    mar_name: Option<String>,
    min_workers: Option<u32>,
    // TorchServe begins with the least number of workers.
    #[serde(rename = "maxWorkers")]
    _max_workers: Option<u32>,
    batch_size: Option<u32>,
    max_batch_delay: Option<u32>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

const HONOURED: [&str; 6] =
    ["defaultVersion", "marName", "minWorkers", "maxWorkers", "batchSize", "maxBatchDelay"];

/// Members of TorchServe 0.12 that have no effect, and the values with which they have none there, either.
const WITHOUT_EFFECT: &[(&str, &[&str])] = &[
    ("responseTimeout", &["120"]),
    ("startupTimeout", &["120"]),
    ("parallelLevel", &["0", "1"]),
    ("parallelType", &["", "none"]),
    ("deviceType", &["", "cpu", "none"]),
    ("deviceIds", &["[]"]),
    ("runtimeType", &["python", "python3"]),
    ("clientTimeoutInMills", &["0"]),
    ("maxRetryTimeoutInSec", &["300"]),
    ("jobQueueSize", &["0", "100"]),
    ("useJobTicket", &["false"]),
    ("sequenceMaxIdleMSec", &["0"]),
    ("sequenceTimeoutMSec", &["0"]),
    ("maxSequenceJobQueueSize", &["0", "1"]),
    ("maxNumSequence", &["0", "1"]),
    ("continuousBatching", &["false"]),
    ("sequenceBatching", &["false"]),
    ("asyncCommunication", &["false"]),
    ("useVenv", &["false"]),
];

type Named = BTreeMap<String, BTreeMap<String, Version>>;

/// The models of the key `models`, of each name the default version first, as the version that is registered first is the default;
/// and what is to be said of members that have no effect.
pub(crate) fn models(value: &str) -> Result<(Vec<ConfiguredModel>, Vec<String>), String> {
    let named: Named =
        serde_json::from_str(value).map_err(|error| format!("JSON by names and versions ({error})"))?;
    Ok(configured("models", named))
}

/// The models of the key `model_snapshot`.
pub(crate) fn snapshot(value: &str) -> Result<(Vec<ConfiguredModel>, Vec<String>), String> {
    #[derive(serde::Deserialize)]
    struct Snapshot {
        models: Named,
    }
    let snapshot: Snapshot =
        serde_json::from_str(value).map_err(|error| format!("a snapshot of TorchServe ({error})"))?;
    Ok(configured("model_snapshot", snapshot.models))
}

fn configured(key: &str, named: Named) -> (Vec<ConfiguredModel>, Vec<String>) {
    let (mut models, mut warnings) = (Vec::new(), Vec::new());
    for (name, versions) in named {
        let mut versions: Vec<(String, Version)> = versions.into_iter().collect();
        versions.sort_by(|(a, of_a), (b, of_b)| {
            of_b.is_default.cmp(&of_a.is_default).then_with(|| by_numbers(a, b))
        });
        for (version, settings) in versions {
            let Version { mar_name, min_workers, batch_size, max_batch_delay, others, .. } = settings;
            let faults = others.iter().filter_map(|(member, value)| without_effect(member, value));
            warnings.extend(faults.map(|fault| format!("{key}: '{name}' version {version}: {fault}")));
            models.push(ConfiguredModel {
                mar_name: mar_name.unwrap_or_else(|| format!("{name}.mar")),
                name: name.clone(),
                min_workers,
                batch_size,
                max_batch_delay,
            });
        }
    }
    (models, warnings)
}

fn without_effect(member: &str, value: &Value) -> Option<String> {
    if let Some((_, usual)) = WITHOUT_EFFECT.iter().find(|(known, _)| *known == member) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let is_usual = value.is_null() || usual.contains(&&*text.to_lowercase());
        return (!is_usual).then(|| format!("'{member}' has no effect here"));
    }
    let names = HONOURED.into_iter().chain(WITHOUT_EFFECT.iter().map(|(known, _)| *known));
    let meant = nearest(member, names).map_or_else(String::new, |meant| format!(": was '{meant}' meant?"));
    Some(format!("'{member}' is no member of TorchServe's{meant}"))
}

/// Versions such as 2.0 and 10.0 by their numbers.
fn by_numbers(a: &str, b: &str) -> Ordering {
    let (mut of_a, mut of_b) = (a.split('.'), b.split('.'));
    loop {
        let (a, b) = match (of_a.next(), of_b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => (a, b),
        };
        let order = match (a.parse::<u64>(), b.parse::<u64>()) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            _ => a.cmp(b),
        };
        if order.is_ne() {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(models: &[ConfiguredModel]) -> Vec<&str> {
        models.iter().map(|model| &*model.mar_name).collect()
    }

    #[test]
    fn the_default_version_comes_first_and_the_others_by_their_numbers() {
        let text = r#"{"id": {"10.0": {"marName": "10.mar"}, "2.0": {"marName": "2.mar"}, "3.0": {"defaultVersion": true, "marName": "3.mar"}}}"#;
        let (found, warnings) = models(text).unwrap();
        assert_eq!((files(&found), warnings.len()), (vec!["3.mar", "2.mar", "10.mar"], 0));
        let (found, _) = models(&text.replace("defaultVersion", "default_version")).unwrap();
        assert_eq!(files(&found), ["3.mar", "2.mar", "10.mar"]);
        let (found, _) = models(&text.replace("true", "false")).unwrap();
        assert_eq!(files(&found), ["2.mar", "3.mar", "10.mar"]);
    }

    #[test]
    fn a_snapshot_has_the_same_models() {
        let text = r#"{"name": "startup.cfg", "modelCount": 1, "created": 1795952426, "models": {"id": {"1.0": {"defaultVersion": true,
            "marName": "id.mar", "minWorkers": 0, "maxWorkers": 2, "batchSize": 4, "maxBatchDelay": 50, "responseTimeout": 120,
            "startupTimeout": 120, "parallelLevel": 0, "deviceIds": [], "runtimeType": "PYTHON"}}}}"#;
        let (found, warnings) = snapshot(text).unwrap();
        let expected = ConfiguredModel {
            name: "id".to_owned(),
            mar_name: "id.mar".to_owned(),
            min_workers: Some(0),
            batch_size: Some(4),
            max_batch_delay: Some(50),
        };
        assert_eq!((found, warnings), (vec![expected], Vec::new()));
        assert!(snapshot("{}").is_err());
    }

    #[test]
    fn members_without_effect_are_told() {
        let (_, warnings) =
            models(r#"{"id": {"1.0": {"responseTimeout": 5, "minWorker": 2, "deviceType": "gpu", "x": 1}}}"#)
                .unwrap();
        let of = "models: 'id' version 1.0: ";
        let expected = [
            "'deviceType' has no effect here",
            "'minWorker' is no member of TorchServe's: was 'minWorkers' meant?",
            "'responseTimeout' has no effect here",
            "'x' is no member of TorchServe's",
        ];
        assert_eq!(warnings, expected.map(|text| format!("{of}{text}")));
    }
}
