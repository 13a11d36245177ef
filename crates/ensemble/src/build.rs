//! Builds the graph of an ensemble from its config and the models of its steps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hippocamp_backend::{Error, Result, WantedOutputs};
use hippocamp_model_config::{Interface, ModelEnsembling, Step as StepConfig, TensorSpec};
use tokio::sync::mpsc;

use crate::fan_out;
use crate::graph::{Graph, ROOT, Stage, Step, Tensor};
use crate::limit::Limit;
use crate::plan::Plan;
use crate::{StepModel, consistency};

/// Builds the graph of an ensemble whose config was validated. `models` are the models of its steps, in the config's
/// order.
pub(crate) fn build(
    name: &Arc<str>,
    config: &ModelEnsembling,
    interface: &Interface,
    models: Vec<Arc<dyn StepModel>>,
    alive: mpsc::Sender<()>,
) -> Result<Graph> {
    let checked: Vec<(&StepConfig, &dyn StepModel)> =
        config.step.iter().zip(models.iter().map(|model| &**model)).collect();
    consistency::check(name, interface, &checked)?;
    let mut builder = Builder { name, names: BTreeMap::new(), tensors: Vec::new(), steps: Vec::new() };
    let inputs = builder.ensemble_tensors(&interface.inputs);
    let outputs = builder.ensemble_tensors(&interface.outputs);
    builder.steps(&config.step, models, interface, &inputs)?;
    let (stages, output_stage) = builder.stages(&inputs, &outputs)?;
    builder.limits(config.max_inflight_requests as usize);
    let Builder { tensors, steps, .. } = builder;
    let whole = Arc::new(Plan::new(&steps, tensors.len(), &outputs, &WantedOutputs::ALL));
    let interface = Interface { decoupled: output_stage != ROOT, ..interface.clone() };
    let name = Arc::clone(name);
    Ok(Graph { name, interface, steps, tensors, stages, inputs, outputs, whole, _alive: alive })
}

struct Builder<'a> {
    name: &'a str,
    /// The index of each tensor by name.
    names: BTreeMap<String, usize>,
    tensors: Vec<Tensor>,
    steps: Vec<Step>,
}

impl Builder<'_> {
    fn tensor(&mut self, name: &str) -> usize {
        if let Some(&index) = self.names.get(name) {
            return index;
        }
        self.names.insert(name.to_owned(), self.tensors.len());
        self.tensors.push(Tensor { stage: ROOT, slot: 0, consumers: Vec::new() });
        self.tensors.len() - 1
    }

    fn ensemble_tensors(&mut self, specs: &[TensorSpec]) -> Vec<usize> {
        specs.iter().map(|spec| self.tensor(&spec.name)).collect()
    }

    /// Sorts the steps topologically; of several ready steps the first one in the config comes first.
    fn steps(
        &mut self,
        configs: &[StepConfig],
        models: Vec<Arc<dyn StepModel>>,
        interface: &Interface,
        inputs: &[usize],
    ) -> Result<()> {
        let mut waiting: Vec<(&StepConfig, Step)> = Vec::new();
        for (index, (config, model)) in configs.iter().zip(models).enumerate() {
            let mut step = self.step(config, model);
            if let Some(found) = interface.fan_outs.iter().find(|found| found.step == index) {
                step.fan_out = Some(fan_out::step(self.name, found, config, &*step.model)?);
            }
            waiting.push((config, step));
        }
        // The steps that each tensor depends on, directly or not; the last is its producer.
        let mut made: BTreeMap<usize, BTreeSet<usize>> =
            inputs.iter().map(|&tensor| (tensor, BTreeSet::new())).collect();
        while !waiting.is_empty() {
            let is_next = |(_, step): &(&StepConfig, Step)| {
                step.inputs.iter().flatten().all(|tensor| made.contains_key(tensor))
            };
            let Some(next) = waiting.iter().position(is_next) else {
                // Config validation reports this first, with the tensors of the cycle.
                let step = &waiting[0].0.model_name;
                return Err(Error::invalid_arg(format!(
                    "in ensemble {}, the inputs of the step of model '{step}' are never made",
                    self.name
                )));
            };
            let (_, mut step) = waiting.remove(next);
            let index = self.steps.len();
            let upstream: BTreeSet<usize> =
                step.inputs.iter().flatten().flat_map(|tensor| &made[tensor]).copied().collect();
            for &tensor in step.inputs.iter().flatten() {
                self.tensors[tensor].consumers.push(index);
            }
            for &tensor in step.outputs.iter().flatten() {
                let mut from = upstream.clone();
                from.insert(index);
                made.insert(tensor, from);
            }
            step.upstream = upstream.into_iter().collect();
            fan_out::cut(self.name, &mut step, &self.steps, interface, inputs)?;
            self.steps.push(step);
        }
        Ok(())
    }

    fn step(&mut self, config: &StepConfig, model: Arc<dyn StepModel>) -> Step {
        let mut mapped = |specs: &[TensorSpec], map: &BTreeMap<String, String>| {
            let tensors = specs.iter().map(|spec| map.get(&*spec.name).map(|tensor| self.tensor(tensor)));
            tensors.collect::<Vec<_>>()
        };
        let inputs = mapped(&model.interface().inputs, &config.input_map);
        let outputs = mapped(&model.interface().outputs, &config.output_map);
        let input_places = (0..inputs.len()).map(|input| model.input_place(input)).collect();
        Step {
            model,
            stage: ROOT,
            slot: 0,
            inputs,
            input_places,
            outputs,
            feeds: ROOT,
            upstream: Vec::new(),
            limit: None,
            fan_out: None,
        }
    }

    /// Assigns tensors and steps to stages. Returns the stages and the stage of the ensemble's outputs.
    fn stages(&mut self, inputs: &[usize], outputs: &[usize]) -> Result<(Vec<Stage>, usize)> {
        let mut stages = vec![Stage::default()];
        for &tensor in inputs {
            self.place(tensor, ROOT, &mut stages);
        }
        for index in 0..self.steps.len() {
            let step = &self.steps[index];
            let stage = self.common_stage(step.inputs.iter().flatten(), step.model.name())?;
            let mut feeds = stage;
            if step.model.interface().decoupled {
                feeds = stages.len();
                stages.push(Stage::default());
            }
            let outputs = step.outputs.clone();
            let step = &mut self.steps[index];
            (step.stage, step.slot, step.feeds) = (stage, stages[stage].steps.len(), feeds);
            stages[stage].steps.push(index);
            for tensor in outputs.into_iter().flatten() {
                self.place(tensor, feeds, &mut stages);
            }
        }
        let output_stage = self.common_stage(outputs.iter(), self.name)?;
        Ok((stages, output_stage))
    }

    fn place(&mut self, tensor: usize, stage: usize, stages: &mut [Stage]) {
        (self.tensors[tensor].stage, self.tensors[tensor].slot) = (stage, stages[stage].tensors.len());
        stages[stage].tensors.push(tensor);
    }

    fn common_stage<'a>(&self, tensors: impl Iterator<Item = &'a usize>, model: &str) -> Result<usize> {
        let mut stages = tensors.map(|&tensor| self.tensors[tensor].stage);
        let first = stages.next().unwrap_or(ROOT);
        if stages.all(|stage| stage == first) {
            return Ok(first);
        }
        Err(Error::invalid_arg(format!(
            "in ensemble {}, step of model '{model}' receives inputs originated from different decoupled models",
            self.name
        )))
    }

    /// Limits the requests in flight of all but the first steps. There is no limit where it could block instances that
    /// the step itself or a later step needs: that would deadlock.
    fn limits(&mut self, max: usize) {
        if max == 0 {
            return;
        }
        for index in 0..self.steps.len() {
            let is_downstream = |step: &&Step| step.upstream.contains(&index);
            let waited_for = executing(self.steps.iter().filter(is_downstream).chain([&self.steps[index]]));
            let step = &self.steps[index];
            let direct = step.inputs.iter().flatten().filter_map(|tensor| {
                self.steps.iter().find(|producer| producer.outputs.contains(&Some(*tensor)))
            });
            let held_back = executing(direct);
            if !held_back.is_empty() && held_back.is_disjoint(&waited_for) {
                self.steps[index].limit = Some(Limit::new(max));
            }
        }
    }
}

/// The names of the models whose instances run those steps.
fn executing<'a>(steps: impl Iterator<Item = &'a Step>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for step in steps {
        step.model.visit_executing(&mut |name| {
            names.insert(name.to_owned());
        });
    }
    names
}
