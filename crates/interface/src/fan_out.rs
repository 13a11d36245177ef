//! Steps of an ensemble that run once for each row of a tensor: the parameters whose names begin with `fan_out.`.
//!
//! Triton has no such thing. The parameters are ours; Triton passes them over and gives the step the whole tensor.

use hippocamp_proto::inference::ModelConfig;
use hippocamp_proto::inference::model_ensembling::Step;

use crate::fault::Faults;
use crate::{ensemble_scheduling, parameter};

const PREFIX: &str = "fan_out.";
const MAX_ITEMS: &str = ".max_items";
const MAX_INFLIGHT: &str = ".max_inflight";
const RAGGED: &str = ".ragged";

/// The most rows, unless the config says otherwise.
const DEFAULT_ITEMS: usize = 1000;

/// The most rows whose requests are in flight at once, unless the config says otherwise.
const DEFAULT_INFLIGHT: usize = 64;

/// No config may allow more rows: each costs a request.
const MOST_ITEMS: usize = 1 << 20;

/// A step that runs once for each row of its tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FanOut {
    /// The index of the step in the config.
    pub step: usize,
    /// The ensemble's names of the tensors whose rows are taken one by one. All other inputs of the step go to each row's
    /// request as they are.
    pub over: Vec<String>,
    /// The most rows that a request may have.
    pub max_items: usize,
    /// The most rows of one request that are in flight at once.
    pub max_inflight: usize,
    /// Whether outputs of different shapes are padded to the largest. Otherwise they fail the request.
    pub pads: bool,
}

/// The fanned-out steps of an ensemble, in the order of the config. What the config says wrong about them is added to the faults.
pub fn fan_outs(config: &ModelConfig, faults: &mut Faults) -> Vec<FanOut> {
    let mut keys: Vec<&String> = config.parameters.keys().filter(|key| key.starts_with(PREFIX)).collect();
    // The tensors of a model come before its options, which are longer.
    keys.sort();
    let mut fan_outs = Vec::new();
    if keys.is_empty() {
        return fan_outs;
    }
    let Some(scheduling) = ensemble_scheduling(config) else {
        faults.push(None, &path(keys[0]), "only a step of an ensemble can be fanned out");
        return fan_outs;
    };
    for key in keys {
        let text = parameter(config, key).unwrap_or_default();
        let name = &key[PREFIX.len()..];
        if let Err(message) = set(&mut fan_outs, &scheduling.step, name, text) {
            faults.push(None, &path(key), message);
        }
    }
    fan_outs.sort_by_key(|fan_out| fan_out.step);
    fan_outs
}

fn path(key: &str) -> String {
    format!("parameters[\"{key}\"]")
}

fn set(fan_outs: &mut Vec<FanOut>, steps: &[Step], name: &str, text: &str) -> Result<(), String> {
    if steps.iter().any(|step| step.model_name == name) {
        return tensors(fan_outs, steps, name, text);
    }
    let option = [MAX_ITEMS, MAX_INFLIGHT, RAGGED].into_iter().find_map(|option| {
        let model = name.strip_suffix(option)?;
        steps.iter().any(|step| step.model_name == model).then_some((model, option))
    });
    let Some((model, option)) = option else {
        let models: Vec<&str> = steps.iter().map(|step| step.model_name.as_str()).collect();
        return Err(format!(
            "expected fan_out.MODEL, fan_out.MODEL{MAX_ITEMS}, fan_out.MODEL{MAX_INFLIGHT} or fan_out.MODEL{RAGGED}, where \
             MODEL is one of {}",
            models.join(", ")
        ));
    };
    let of_model = |fan_out: &&mut FanOut| steps[fan_out.step].model_name == model;
    let mut found = false;
    for fan_out in fan_outs.iter_mut().filter(of_model) {
        found = true;
        match option {
            MAX_ITEMS => fan_out.max_items = number(text)?,
            MAX_INFLIGHT => fan_out.max_inflight = number(text)?,
            _ => {
                fan_out.pads = match text {
                    "refuse" => false,
                    "pad" => true,
                    _ => return Err(format!("expected \"refuse\" or \"pad\", got \"{text}\"")),
                }
            }
        }
    }
    if found {
        Ok(())
    } else {
        Err(format!("needs the parameter '{PREFIX}{model}', which names the tensors that it fans out over"))
    }
}

/// Each step of the model that reads one of the tensors is fanned out over those that it reads.
fn tensors(fan_outs: &mut Vec<FanOut>, steps: &[Step], model: &str, text: &str) -> Result<(), String> {
    let names: Vec<&str> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let of_model = || steps.iter().enumerate().filter(|(_, step)| step.model_name == model);
    let reads = |step: &Step, name: &str| step.input_map.values().any(|tensor| tensor == name);
    if names.is_empty() {
        return Err(format!("expected the names of tensors that the step of model '{model}' reads"));
    }
    if let Some(name) = names.iter().find(|name| !of_model().any(|(_, step)| reads(step, name))) {
        let mut read: Vec<&str> =
            of_model().flat_map(|(_, step)| step.input_map.values()).map(String::as_str).collect();
        read.sort_unstable();
        read.dedup();
        return Err(format!(
            "the step of model '{model}' reads no ensemble tensor '{name}', it reads {}",
            read.join(", ")
        ));
    }
    for (step, config) in of_model() {
        let over: Vec<String> =
            names.iter().filter(|name| reads(config, name)).map(|&name| name.to_owned()).collect();
        if !over.is_empty() {
            let (max_items, max_inflight) = (DEFAULT_ITEMS, DEFAULT_INFLIGHT);
            fan_outs.push(FanOut { step, over, max_items, max_inflight, pads: false });
        }
    }
    Ok(())
}

fn number(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=MOST_ITEMS) => Ok(number),
        _ => Err(format!("expected a number from 1 to {MOST_ITEMS}, got \"{text}\"")),
    }
}

#[cfg(test)]
mod tests {
    use hippocamp_model_config::parse;

    use super::*;

    const STEPS: &str = r#"
        step { model_name: "find" input_map { key: "X" value: "IN" } output_map { key: "Y" value: "parts" } }
        step { model_name: "read" input_map { key: "A" value: "parts" } input_map { key: "B" value: "IN" }
               output_map { key: "T" value: "OUT" } }"#;

    fn read_of(steps: &str, parameters: &[(&str, &str)]) -> Result<Vec<FanOut>, Vec<String>> {
        let parameters: Vec<String> = parameters
            .iter()
            .map(|(key, value)| {
                format!("parameters {{ key: \"{key}\" value {{ string_value: \"{value}\" }} }}\n")
            })
            .collect();
        let parameters = parameters.concat();
        let scheduling =
            if steps.is_empty() { String::new() } else { format!("ensemble_scheduling {{ {steps} }}") };
        let config = parse(&(parameters + &scheduling), "config.pbtxt").unwrap().config;
        let mut faults = Faults::new("config.pbtxt");
        let fan_outs = fan_outs(&config, &mut faults);
        if faults.faults.is_empty() {
            return Ok(fan_outs);
        }
        Err(faults.faults.into_iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect())
    }

    #[test]
    fn reads_tensors_and_options() {
        let parameters = [
            ("fan_out.read", "parts"),
            ("fan_out.read.max_items", "7"),
            ("fan_out.read.max_inflight", "3"),
            ("fan_out.read.ragged", "pad"),
        ];
        let over = vec!["parts".to_owned()];
        let expected = FanOut { step: 1, over: over.clone(), max_items: 7, max_inflight: 3, pads: true };
        assert_eq!(read_of(STEPS, &parameters), Ok(vec![expected]));
        let default = FanOut { step: 1, over, max_items: 1000, max_inflight: 64, pads: false };
        assert_eq!(read_of(STEPS, &parameters[..1]), Ok(vec![default]));
        assert_eq!(read_of(STEPS, &[]), Ok(vec![]));
    }

    #[test]
    fn says_what_is_wrong() {
        let fault = |key: &str, value: &str| {
            let faults = read_of(STEPS, &[("fan_out.read", "parts"), (key, value)]).unwrap_err();
            assert_eq!(faults.len(), 1);
            faults[0].clone()
        };
        assert_eq!(
            fault("fan_out.reed", "parts"),
            "parameters[\"fan_out.reed\"]: expected fan_out.MODEL, fan_out.MODEL.max_items, fan_out.MODEL.max_inflight or \
             fan_out.MODEL.ragged, where MODEL is one of find, read"
        );
        assert!(
            fault("fan_out.find", "")
                .ends_with("expected the names of tensors that the step of model 'find' reads")
        );
        assert!(fault("fan_out.find", "parts").ends_with("reads no ensemble tensor 'parts', it reads IN"));
        assert!(
            fault("fan_out.read.max_items", "0").ends_with("expected a number from 1 to 1048576, got \"0\"")
        );
        assert!(fault("fan_out.read.ragged", "no").ends_with("expected \"refuse\" or \"pad\", got \"no\""));
        assert!(fault("fan_out.find.ragged", "pad").contains("needs the parameter 'fan_out.find'"));
        assert!(
            read_of("", &[("fan_out.read", "parts")]).unwrap_err()[0]
                .ends_with("only a step of an ensemble can be fanned out")
        );
    }
}
