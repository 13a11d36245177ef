//! What a fanned-out step knows from the config and from the models around it, and whether these fit.

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::{FanOut, Fault, FaultKind, Faults, Interface, Step as StepConfig};
use hippocamp_tensor::{DataType, Shape};

use super::{Cut, StepFanOut};
use crate::StepModel;
use crate::graph::Step;

/// Begins with what the step's config and model tell. Fails if the model cannot run for single rows.
pub(crate) fn step(
    ensemble: &str,
    config: &FanOut,
    step: &StepConfig,
    model: &dyn StepModel,
) -> Result<StepFanOut> {
    let over = config.over.join("', '");
    let refused = |why: &str| {
        let name = model.name();
        let message = format!(
            "in ensemble {ensemble}, the step of model '{name}' cannot be fanned out over '{over}': {why}"
        );
        Err(about(&step.model_name, message))
    };
    if model.interface().decoupled {
        return refused("it is decoupled, and each item has to have one response");
    }
    if model.has_sequences() {
        return refused("its requests belong to sequences, and items do not");
    }
    let reads_rows = |name: &str| step.input_map.get(name).is_some_and(|tensor| config.over.contains(tensor));
    // To be replaced by what fits the tensor, by `cut`.
    let whole = Cut { of_batch: false, keeps_one: false };
    let inputs = model.interface().inputs.iter();
    Ok(StepFanOut {
        over,
        cuts: inputs.map(|spec| reads_rows(&spec.name).then_some(whole)).collect(),
        joins: vec![false; model.interface().outputs.len()],
        max_items: config.max_items,
        max_inflight: config.max_inflight,
        pads: config.pads,
        aligned: Vec::new(),
    })
}

/// Decides how the rows of a fanned-out step are cut and put together, by the configs of what is before it: of the steps `before`,
/// or of the ensemble's own `inputs`. Does nothing to a step that runs once.
pub(crate) fn cut(
    ensemble: &str,
    step: &mut Step,
    before: &[Step],
    interface: &Interface,
    inputs: &[usize],
) -> Result<()> {
    let Some(fan_out) = &mut step.fan_out else { return Ok(()) };
    let model = &step.model;
    let to = model.interface();
    let mut kept = None;
    for (input, cut) in fan_out.cuts.iter_mut().enumerate() {
        let (Some(cut), Some(tensor)) = (cut, step.inputs[input]) else { continue };
        let spec = &to.inputs[input];
        let Some(from) = source(tensor, before, interface, inputs) else { continue };
        let wrong = |what: String| {
            let (over, name) = (&fan_out.over, model.name());
            let text = format!(
                "in ensemble {ensemble}, fan-out of the step of model '{name}' over '{over}': {what}"
            );
            Err(about(name, text))
        };
        if from.data_type != spec.data_type {
            return wrong(format!(
                "input '{}' has the data type {}, the tensor {}",
                spec.name,
                spec.data_type.config_name(),
                from.data_type.config_name()
            ));
        }
        let Some(found) = Cut::find(&from.dims, from.batches, &spec.dims, to.max_batch_size > 0) else {
            return wrong(format!(
                "input '{}' takes {}, which are not the rows of a tensor of {}",
                spec.name, spec.dims, from.dims
            ));
        };
        *cut = found;
        if found.keeps_one {
            kept = kept.min(spec.dims.first().copied()).or(spec.dims.first().copied());
        }
        if let Some(producer) = from.fan_out
            && let Some(earlier) = &before[producer].fan_out
        {
            fan_out.aligned.push(producer);
            fan_out.aligned.extend(&earlier.aligned);
        }
    }
    for (joins, spec) in fan_out.joins.iter_mut().zip(&to.outputs) {
        // What has the 1 of its rows in front, by the config: as an input that has it, or as one that leaves it open.
        *joins = matches!((kept, spec.dims.first()), (Some(_), Some(1)) | (Some(-1), Some(-1)));
    }
    if fan_out.cuts.iter().flatten().any(|cut| cut.of_batch) {
        cut_all_of_the_batch(ensemble, step, before, interface, inputs)?;
    }
    Ok(())
}

/// Refuses a step that takes rows of a batch, where another of its inputs has rows of the same batch and goes to each item whole.
fn cut_all_of_the_batch(
    ensemble: &str,
    step: &Step,
    before: &[Step],
    interface: &Interface,
    inputs: &[usize],
) -> Result<()> {
    let Some(fan_out) = &step.fan_out else { return Ok(()) };
    let specs = step.model.interface().inputs.iter().zip(&step.inputs).zip(&fan_out.cuts);
    for ((spec, tensor), _) in specs.filter(|(_, cut)| cut.is_none()) {
        let from = tensor.and_then(|tensor| source(tensor, before, interface, inputs));
        if from.is_some_and(|from| from.batches) {
            let (over, name) = (&fan_out.over, step.model.name());
            let text = format!(
                "in ensemble {ensemble}, fan-out of the step of model '{name}' over '{over}', along the batch: input '{}' has \
                 a row of the batch for each item, too, so its tensor has to be among those that are fanned out over",
                spec.name
            );
            return Err(about(name, text));
        }
    }
    Ok(())
}

/// What a config says of a tensor.
struct Source {
    dims: Shape,
    batches: bool,
    data_type: DataType,
    /// The fanned-out step that makes it.
    fan_out: Option<usize>,
}

fn source(tensor: usize, before: &[Step], interface: &Interface, inputs: &[usize]) -> Option<Source> {
    if let Some(input) = inputs.iter().position(|&input| input == tensor) {
        let spec = &interface.inputs[input];
        let dims = spec.reshape.as_ref().unwrap_or(&spec.dims).clone();
        let batches = interface.max_batch_size > 0;
        return Some(Source { dims, batches, data_type: spec.data_type, fan_out: None });
    }
    before.iter().enumerate().find_map(|(index, step)| {
        let output = step.outputs.iter().position(|output| *output == Some(tensor))?;
        let from = step.model.interface();
        let spec = &from.outputs[output];
        let Some(fan_out) = &step.fan_out else {
            let (dims, batches) = (spec.dims.clone(), from.max_batch_size > 0);
            return Some(Source { dims, batches, data_type: spec.data_type, fan_out: None });
        };
        let (stacked, joined) = Cut::gathered(&spec.dims, from.max_batch_size > 0);
        let dims = joined.filter(|_| fan_out.joins[output]).unwrap_or(stacked);
        Some(Source { dims, batches: false, data_type: spec.data_type, fan_out: Some(index) })
    })
}

/// An error about the parameter that fans the step out.
#[cold]
fn about(model: &str, message: String) -> Error {
    let fault = Fault::new(format!("parameters[\"fan_out.{model}\"]"), message.clone(), FaultKind::Other);
    Error::invalid_arg(message).with_source(Faults::one("config", fault))
}
