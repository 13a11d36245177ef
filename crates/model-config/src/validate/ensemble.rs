//! The steps of an ensemble: whether every tensor is made once, used, and can be reached.

use std::collections::{BTreeMap, BTreeSet};

use hippocamp_interface::fan_outs;
use hippocamp_proto::inference::{ModelEnsembling, model_ensembling::Step};

use super::Check;
use crate::{Fault, FaultKind, Faults};

/// A tensor of the ensemble, by its name there.
#[derive(Default)]
struct Tensor {
    /// The step that writes it.
    producer: Option<usize>,
    /// The steps that read it.
    consumers: Vec<usize>,
    /// It is an input of the ensemble, or all that its step needs is ready.
    ready: bool,
}

type Tensors<'a> = BTreeMap<&'a str, Tensor>;

impl<'a> Check<'a> {
    pub(super) fn ensemble(&mut self, ensemble: &'a ModelEnsembling) {
        let name = self.name;
        let config = self.config;
        let is_other = !config.platform.is_empty() || !config.backend.is_empty();
        if config.platform != hippocamp_interface::ENSEMBLE && is_other {
            let message = format!(
                "ensemble scheduling cannot be set for model '{name}' whose platform is not {}",
                hippocamp_interface::ENSEMBLE
            );
            self.fault("ensemble_scheduling", message);
        }
        if !config.instance_group.is_empty() {
            let message = format!("instance group should not be specified for ensemble '{name}'");
            self.fault_of(FaultKind::Superfluous, "instance_group", message);
        }
        if config.optimization.is_some() {
            let message = format!("optimization should not be specified for ensemble '{name}'");
            self.fault_of(FaultKind::Superfluous, "optimization", message);
        }
        if !config.model_warmup.is_empty() {
            let message = format!("model_warmup can not be specified for ensemble '{name}'");
            self.fault_of(FaultKind::Superfluous, "model_warmup", message);
        }
        if ensemble.step.is_empty() {
            self.fault("ensemble_scheduling", format!("must specify 'step' for ensemble '{name}'"));
            return;
        }
        let mut tensors = self.ensemble_tensors(&ensemble.step);
        self.ensemble_inputs(&ensemble.step, &mut tensors);
        self.ensemble_outputs(&ensemble.step, &tensors);
    }

    /// The steps that run once for each row of a tensor.
    pub(super) fn fan_outs(&mut self) {
        let mut faults = Faults::new("");
        fan_outs(self.config, &mut faults);
        for Fault { path, message, .. } in faults.faults {
            self.fault(&path, message);
        }
    }

    fn ensemble_tensors(&mut self, steps: &'a [Step]) -> Tensors<'a> {
        let name = self.name;
        let mut tensors = Tensors::new();
        for (index, step) in steps.iter().enumerate() {
            let path = format!("ensemble_scheduling.step[{index}]");
            let missing = [
                ("model_name", step.model_name.is_empty()),
                ("input_map", step.input_map.is_empty()),
                ("output_map", step.output_map.is_empty()),
            ];
            for (field, _) in missing.into_iter().filter(|(_, missing)| *missing) {
                let message = format!("must specify '{field}' in step {index} of ensemble '{name}'");
                self.fault(&path, message);
            }
            // 0 is what the schema has for "not given".
            if step.model_version < -1 {
                let message = format!(
                    "model version in step {index} of ensemble '{name}' must be -1 or >= 1, got {}",
                    step.model_version
                );
                self.fault(&format!("{path}.model_version"), message);
            }
            for tensor in step.output_map.values() {
                let entry = tensors.entry(tensor).or_default();
                if entry.producer.is_some() {
                    let message = format!(
                        "ensemble tensor '{tensor}' can appear in an output map only once for ensemble '{name}' \
                         step {index}"
                    );
                    self.fault(&format!("{path}.output_map"), message);
                }
                entry.producer = Some(index);
            }
            for tensor in step.input_map.values() {
                tensors.entry(tensor).or_default().consumers.push(index);
            }
        }
        tensors
    }

    /// Follows the tensors from the inputs of the ensemble as far as they get.
    fn ensemble_inputs(&mut self, steps: &'a [Step], tensors: &mut Tensors<'a>) {
        let mut reached: Vec<&str> = Vec::new();
        for (index, input) in self.config.input.iter().enumerate() {
            if let Some(tensor) = tensors.get_mut(input.name.as_str()) {
                tensor.ready = true;
                reached.push(&input.name);
            } else {
                let message =
                    format!("ensemble input '{}' for ensemble {}' is not used", input.name, self.name);
                self.fault(&format!("input[{index}]"), message);
            }
        }
        // For each step the tensors that it still waits for. A tensor that feeds two of its inputs counts twice.
        let mut waiting: Vec<usize> = steps.iter().map(|step| step.input_map.len()).collect();
        while let Some(name) = reached.pop() {
            let Some(tensor) = tensors.get_mut(name) else { continue };
            for step in std::mem::take(&mut tensor.consumers) {
                waiting[step] -= 1;
                if waiting[step] > 0 {
                    continue;
                }
                for output in steps[step].output_map.values() {
                    if let Some(output_tensor) = tensors.get_mut(output.as_str())
                        && !std::mem::replace(&mut output_tensor.ready, true)
                    {
                        reached.push(output);
                    }
                }
            }
        }
    }

    fn ensemble_outputs(&mut self, steps: &'a [Step], tensors: &Tensors<'a>) {
        let name = self.name;
        let used: BTreeSet<&str> =
            steps.iter().flat_map(|step| step.input_map.values()).map(String::as_str).collect();
        let outputs: BTreeSet<&str> = self.config.output.iter().map(|output| output.name.as_str()).collect();
        let mut reported = false;
        for (index, output) in self.config.output.iter().enumerate() {
            let path = format!("output[{index}]");
            match tensors.get(output.name.as_str()) {
                None => {
                    let message =
                        format!("ensemble output '{}' for ensemble {name}' is not used", output.name);
                    self.fault(&path, message);
                }
                Some(tensor) if !tensor.ready => {
                    reported = true;
                    let mut message =
                        format!("output '{}' for ensemble '{name}' is not written", output.name);
                    if let Some(source) = unconnected(&output.name, steps, tensors) {
                        let why =
                            format!(": at least one of its depending tensors, '{source}', is not connected");
                        message.push_str(&why);
                    }
                    self.fault(&path, message);
                }
                Some(_) => {}
            }
        }
        for (tensor, state) in tensors {
            // What is not ready is the cause or the consequence of what was said about an output.
            if outputs.contains(tensor) || (!state.ready && reported) {
                continue;
            }
            if !state.ready || !used.contains(tensor) {
                let path = state.producer.map_or_else(
                    || "ensemble_scheduling".to_owned(),
                    |step| format!("ensemble_scheduling.step[{step}]"),
                );
                self.fault(&path, format!("ensemble tensor '{tensor}' is unused in ensemble '{name}'"));
            }
        }
    }
}

/// The tensor at the far end that keeps `name` from being written, if it is another one.
fn unconnected<'a>(name: &'a str, steps: &'a [Step], tensors: &Tensors<'a>) -> Option<&'a str> {
    let mut last = name;
    let mut seen_steps = BTreeSet::new();
    while let Some(step) = tensors.get(last).and_then(|tensor| tensor.producer) {
        // A circle of steps waits for itself; any of its tensors is as good as another.
        if !seen_steps.insert(step) {
            break;
        }
        let is_open = |input: &&String| tensors.get(input.as_str()).is_some_and(|tensor| !tensor.ready);
        let Some(input) = steps[step].input_map.values().find(is_open) else { break };
        last = input;
    }
    (last != name).then_some(last)
}
