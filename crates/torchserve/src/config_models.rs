//! The models of a `config.properties`: those of the key `models`, and of the snapshots that TorchServe writes.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use hippocamp_archive_repository::{Keys, MODEL_KEYS, ModelSettings, Setting};

/// A model of the key `models`, or of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfiguredModel {
    /// What clients call it.
    pub name: String,
    /// The archive in the model store.
    pub mar_name: String,
    /// What is said of how it is executed.
    pub settings: ModelSettings,
}

/// What is read of a version, beside its settings.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    #[serde(default, rename = "defaultVersion", alias = "default_version")]
    is_default: bool,
    mar_name: Option<String>,
    #[serde(flatten)]
    settings: Map<String, Value>,
}

/// The members that are read here.
const MEMBERS: Keys = Keys { honoured: &["defaultVersion", "marName"], without_effect: &[], others: "" };

/// How many requests may wait in TorchServe by default.
const USUAL_QUEUE: u32 = 100;

/// All others: those of a model, and what there is not.
const OTHERS: Keys = Keys { others: "it is no key of TorchServe", ..MODEL_KEYS };

type Named = BTreeMap<String, BTreeMap<String, Version>>;

/// The models of the key `models`, of each name the default version first, as the version that is registered first is the default;
/// and what is to be said of members that have no effect.
pub(crate) fn models(value: &str) -> Result<(Vec<ConfiguredModel>, Vec<String>), String> {
    let named: Named =
        serde_json::from_str(value).map_err(|error| format!("JSON by names and versions ({error})"))?;
    configured("models", named)
}

/// The models of the key `model_snapshot`.
pub(crate) fn snapshot(value: &str) -> Result<(Vec<ConfiguredModel>, Vec<String>), String> {
    #[derive(serde::Deserialize)]
    struct Snapshot {
        models: Named,
    }
    let snapshot: Snapshot =
        serde_json::from_str(value).map_err(|error| format!("a snapshot of TorchServe ({error})"))?;
    let (mut models, warnings) = configured("model_snapshot", snapshot.models)?;
    for model in &mut models {
        // What TorchServe writes where nobody has said anything.
        model.settings.job_queue_size.take_if(|most| *most == USUAL_QUEUE);
    }
    Ok((models, warnings))
}

fn configured(key: &str, named: Named) -> Result<(Vec<ConfiguredModel>, Vec<String>), String> {
    let (mut models, mut warnings) = (Vec::new(), Vec::new());
    for (name, versions) in named {
        let mut versions: Vec<(String, Version)> = versions.into_iter().collect();
        versions.sort_by(|(a, of_a), (b, of_b)| {
            of_b.is_default.cmp(&of_a.is_default).then_with(|| by_numbers(a, b))
        });
        for (version, Version { mar_name, settings: members, .. }) in versions {
            let mut settings = ModelSettings::default();
            for (member, value) in members {
                let told = if MODEL_KEYS.knows(&member) {
                    settings.set(&member, &setting(value)).map_err(|fault| {
                        format!("JSON by names and versions ('{name}' version {version}: {fault})")
                    })?
                } else {
                    let keys = if MEMBERS.meant(&member).is_some() { MEMBERS } else { OTHERS };
                    keys.fault(&member, "")
                };
                warnings.extend(told.map(|told| format!("{key}: '{name}' version {version}: {told}")));
            }
            let mar_name = mar_name.unwrap_or_else(|| format!("{name}.mar"));
            models.push(ConfiguredModel { name: name.clone(), mar_name, settings });
        }
    }
    Ok((models, warnings))
}

fn setting(value: Value) -> Setting {
    let text = |value: Value| match value {
        Value::String(text) => Some(text),
        Value::Null => Some(String::new()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    };
    match value {
        Value::Array(values) => {
            values.into_iter().map(text).collect::<Option<_>>().map_or(Setting::Nested, Setting::List)
        }
        value => text(value).map_or(Setting::Nested, Setting::Scalar),
    }
}

/// Versions such as 2.0 and 10.0 by their numbers, which come before words.
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
            (Ok(_), Err(_)) => Ordering::Less,
            (Err(_), Ok(_)) => Ordering::Greater,
            (Err(_), Err(_)) => a.cmp(b),
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

    /// Of 2, 10 and 1a each would come before the next, all around, if numbers were compared with words as texts.
    #[test]
    fn any_versions_have_one_order() {
        let texts = ["1a", "2", "10", "1", "a", "2.0", "10.x", "10.9", "1.0.1", "", "02"];
        for a in texts {
            for b in texts {
                assert_eq!(by_numbers(a, b), by_numbers(b, a).reverse(), "{a} {b}");
                for c in texts.into_iter().filter(|_| by_numbers(a, b).is_le()) {
                    assert!(by_numbers(b, c).is_gt() || by_numbers(a, c).is_le(), "{a} {b} {c}");
                }
            }
        }
        let versions: Vec<String> =
            (0..60).map(|n| format!("\"{n}{}\": {{}}", ["", "a", ".x"][n % 3])).collect();
        assert_eq!(models(&format!("{{\"m\": {{{}}}}}", versions.join(","))).unwrap().0.len(), 60);
    }

    #[test]
    fn a_snapshot_has_the_same_models() {
        let text = r#"{"name": "startup.cfg", "modelCount": 1, "created": 1795952426, "models": {"id": {"1.0": {"defaultVersion": true,
            "marName": "id.mar", "minWorkers": 0, "maxWorkers": 2, "batchSize": 4, "maxBatchDelay": 50, "responseTimeout": 120,
            "startupTimeout": 120, "parallelLevel": 0, "deviceIds": [], "runtimeType": "PYTHON", "jobQueueSize": 100}}}}"#;
        let (found, warnings) = snapshot(text).unwrap();
        let expected = ConfiguredModel {
            name: "id".to_owned(),
            mar_name: "id.mar".to_owned(),
            settings: ModelSettings {
                min_workers: Some(0),
                batch_size: Some(4),
                max_batch_delay: Some(50),
                ..ModelSettings::default()
            },
        };
        assert_eq!((found, warnings), (vec![expected], Vec::new()));
        assert!(snapshot("{}").is_err());
    }

    #[test]
    fn members_without_effect_are_told() {
        let text = r#"{"id": {"1.0": {"responseTimeout": 5, "minWorker": 2, "deviceType": "gpu", "deviceIds": [1], "defaultVerson": true, "x": 1}}}"#;
        let (found, warnings) = models(text).unwrap();
        let expected = [
            "'defaultVerson' has no effect: was 'defaultVersion' meant?",
            "'minWorker' has no effect: was 'minWorkers' meant?",
            "'responseTimeout' has no effect: no execution is ended for its time; how long a request may wait for one says \
             clientTimeoutInMills",
            "'x' has no effect: it is no key of TorchServe",
        ];
        assert_eq!(warnings, expected.map(|text| format!("models: 'id' version 1.0: {text}")));
        assert_eq!((found[0].settings.on_cpu, &*found[0].settings.device_ids), (Some(false), &[1][..]));
        let fault = models(r#"{"id": {"1.0": {"batchSize": 0}}}"#).unwrap_err();
        assert!(fault.contains("('id' version 1.0: batchSize was expected to be a number from 1"), "{fault}");
    }
}
