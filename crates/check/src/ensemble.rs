//! Checks that the models of an ensemble exist and have the tensors that its steps name, and finds circles of ensembles.

use std::collections::{BTreeMap, BTreeSet};

use hippocamp_model_config::{Fault, FaultKind, ModelConfig};
use hippocamp_proto::inference::model_config::SchedulingChoice;
use hippocamp_proto::inference::model_ensembling::Step;
use hippocamp_repository::resolve_step;

/// Looks up the namespace of a model by the model's name.
type Namespace<'a, 'b> = &'a dyn Fn(&str) -> Option<&'b str>;

/// Returns the faults of an ensemble's steps, each with the path of its field. `names` lists all models of the
/// repositories, `configs` those whose config could be read; `namespace` returns a model's namespace, if it has one.
pub(crate) fn faults(
    name: &str,
    config: &ModelConfig,
    names: &[&str],
    configs: &BTreeMap<&str, &ModelConfig>,
    namespace: Namespace<'_, '_>,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    // The rules of the config report a step without a model name.
    let with_model = steps(config).iter().enumerate().filter(|(_, step)| !step.model_name.is_empty());
    for (index, step) in with_model {
        let path = format!("ensemble_scheduling.step[{index}]");
        let Some(model) = composing(namespace(name), step, names) else {
            let message =
                format!("ensemble '{name}' wants model '{}', which no repository has", step.model_name);
            let kind = FaultKind::UnknownModel { wanted: step.model_name.clone() };
            faults.push(Fault::new(format!("{path}.model_name"), message, kind));
            continue;
        };
        if let Some(config) = configs.get(model) {
            tensors(&path, model, step, config, &mut faults);
        }
    }
    let composing = |from: &str, step: &Step| composing(namespace(from), step, names);
    if let Some(circle) = path_between(name, name, &composing, configs, &mut BTreeSet::new()) {
        let message = format!("circular dependency between ensembles: {} -> {name}", circle.join(" -> "));
        faults.push(Fault::new("ensemble_scheduling", message, FaultKind::Other));
    }
    faults
}

fn steps(config: &ModelConfig) -> &[Step] {
    match &config.scheduling_choice {
        Some(SchedulingChoice::EnsembleScheduling(ensemble)) => &ensemble.step,
        _ => &[],
    }
}

/// The model that a step refers to.
fn composing<'a>(own: Option<&str>, step: &Step, names: &[&'a str]) -> Option<&'a str> {
    let namespace = Some(step.model_namespace.as_str()).filter(|written| !written.is_empty()).or(own);
    resolve_step(names.iter().copied(), namespace, &step.model_name)
}

/// Checks that the model's config has the tensors that the step's maps name. A config without tensors is not checked.
fn tensors(path: &str, model: &str, step: &Step, config: &ModelConfig, faults: &mut Vec<Fault>) {
    let inputs: BTreeSet<&str> = config.input.iter().map(|input| input.name.as_str()).collect();
    let outputs: BTreeSet<&str> = config.output.iter().map(|output| output.name.as_str()).collect();
    let maps = [
        ("input_map", "input", &step.input_map, inputs),
        ("output_map", "output", &step.output_map, outputs),
    ];
    for (field, kind, map, known) in maps {
        // An empty list is completed from the model file later.
        let unknown = map.keys().filter(|name| !known.is_empty() && !known.contains(name.as_str()));
        let mut unknown: Vec<&String> = unknown.collect();
        unknown.sort();
        let listed: Vec<&str> = known.iter().copied().collect();
        faults.extend(unknown.into_iter().map(|name| {
            let message = format!("model '{model}' has no {kind} '{name}', it has {}", listed.join(", "));
            Fault::new(format!("{path}.{field}[\"{name}\"]"), message, FaultKind::Other)
        }));
    }
}

/// The path along ensemble steps from the model `from` to the model `goal`, excluding `goal`; `None` if there is none.
fn path_between<'a>(
    from: &'a str,
    goal: &str,
    composing: &dyn Fn(&str, &Step) -> Option<&'a str>,
    configs: &BTreeMap<&'a str, &'a ModelConfig>,
    seen: &mut BTreeSet<&'a str>,
) -> Option<Vec<&'a str>> {
    let config = configs.get(from)?;
    steps(config).iter().filter_map(|step| composing(from, step)).find_map(|next| {
        if next == goal {
            return Some(vec![from]);
        }
        let mut rest = seen.insert(next).then(|| path_between(next, goal, composing, configs, seen))??;
        rest.insert(0, from);
        Some(rest)
    })
}
