//! Checks that the models of an ensemble fit together, as Triton does after loading them, with its messages.

use std::collections::BTreeMap;

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::{FanOut, Fault, FaultKind, Faults, Interface, Step, TensorSpec};
use hippocamp_tensor::{DataType, Shape};

use crate::StepModel;
use crate::fan_out::Cut;

/// What a model implies about a tensor of the ensemble.
#[derive(Clone, Debug)]
struct Inferred<'a> {
    model: &'a str,
    data_type: DataType,
    dims: Shape,
    /// The dims after a batch dimension, if the model has one.
    full_dims: Shape,
    /// What else they can be, for an output of a fan-out whose rows may have a first dimension of 1.
    or: Option<Shape>,
}

impl<'a> Inferred<'a> {
    fn new(model: &'a str, interface: &Interface, data_type: DataType, dims: &Shape) -> Inferred<'a> {
        let full_dims = if interface.max_batch_size > 0 { dims.with_batch(-1) } else { dims.clone() };
        Inferred { model, data_type, dims: dims.clone(), full_dims, or: None }
    }

    /// Of the output of a fan-out: the rows' outputs one behind the other.
    fn gathered(model: &'a str, interface: &Interface, data_type: DataType, dims: &Shape) -> Inferred<'a> {
        let (dims, or) = Cut::gathered(dims, interface.max_batch_size > 0);
        Inferred { model, data_type, full_dims: dims.clone(), dims, or }
    }

    /// Compares what two models imply: types have to be equal and shapes compatible, with or without the batch
    /// dimension. Variable sizes are
    /// checked when a request comes. Returns the contradiction, if there is one.
    fn contradicts(&self, other: &Inferred<'a>) -> Option<String> {
        if self.data_type != other.data_type {
            return Some(format!(
                "inconsistent data type: {} is inferred from model {} while {} is inferred from model {}",
                self.data_type.config_name(),
                self.model,
                other.data_type.config_name(),
                other.model
            ));
        }
        let also = |a: &Inferred<'_>, b: &Inferred<'_>| {
            let fits = |or: &Shape| can_be_equal(or, &b.dims) || can_be_equal(or, &b.full_dims);
            a.or.as_ref().is_some_and(fits)
        };
        if can_be_equal(&self.dims, &other.dims)
            || can_be_equal(&self.full_dims, &other.full_dims)
            || also(self, other)
            || also(other, self)
        {
            return None;
        }
        Some(format!(
            "inconsistent shape: {} is inferred from model {} while {} is inferred from model {}",
            self.full_dims, self.model, other.full_dims, other.model
        ))
    }
}

pub(crate) fn can_be_equal(a: &Shape, b: &Shape) -> bool {
    a.len() == b.len() && a.iter().zip(b.iter()).all(|(&a, &b)| a == b || a == -1 || b == -1)
}

/// Checks the steps in the config's order, each with its model. The error lists every fault.
pub(crate) fn check(ensemble: &str, interface: &Interface, steps: &[(&Step, &dyn StepModel)]) -> Result<()> {
    let mut tensors = BTreeMap::new();
    for spec in interface.inputs.iter().chain(&interface.outputs) {
        let dims = spec.reshape.as_ref().unwrap_or(&spec.dims);
        let inferred = Inferred::new(ensemble, interface, spec.data_type, dims);
        tensors.entry(&*spec.name).or_insert(inferred);
    }
    let mut faults = Vec::new();
    for (index, &(step, model)) in steps.iter().enumerate() {
        let path = format!("ensemble_scheduling.step[{index}]");
        let (max, least) = (model.interface().max_batch_size, interface.max_batch_size);
        let fan_out = interface.fan_outs.iter().find(|fan_out| fan_out.step == index);
        if max != 0 && max < least && fan_out.is_none() {
            let message = format!(
                "ensemble {ensemble} allows maximum batch size {least}, but it contains model {} which only allows \
                 maximum batch size to be {max}",
                step.model_name
            );
            let kind = FaultKind::Expected { field: "max_batch_size", value: max.to_string() };
            faults.push(Fault::new("max_batch_size", message, kind));
        }
        let (tensors, faults) = (&mut tensors, &mut faults);
        let mut check = CheckStep { ensemble, path, step, fan_out, model, tensors, faults };
        check.inputs();
        check.outputs();
    }
    if faults.is_empty() {
        return Ok(());
    }
    let messages: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
    let error = Error::invalid_arg(messages.join("; "));
    Err(error.with_source(Faults { origin: "config".to_owned(), faults }))
}

struct CheckStep<'a, 'b> {
    ensemble: &'a str,
    /// The path of the step in the config.
    path: String,
    step: &'a Step,
    fan_out: Option<&'b FanOut>,
    model: &'a dyn StepModel,
    tensors: &'b mut BTreeMap<&'a str, Inferred<'a>>,
    faults: &'b mut Vec<Fault>,
}

impl<'a> CheckStep<'a, '_> {
    fn inputs(&mut self) {
        let (ensemble, model) = (self.ensemble, &self.step.model_name);
        let specs = &self.model.interface().inputs;
        for (input, tensor) in &self.step.input_map {
            if !specs.iter().any(|spec| *spec.name == **input) {
                let message = format!(
                    "in ensemble {ensemble}, ensemble tensor {tensor} is mapping to non-existing input {input} in \
                     model {model}"
                );
                self.fault(&format!("input_map[\"{input}\"]"), message);
            }
        }
        for spec in specs {
            match self.step.input_map.get(&*spec.name) {
                // Its rows are compared when the graph is built, where the tensor's own config is known.
                Some(tensor) if self.fan_out.is_some_and(|fan_out| fan_out.over.contains(tensor)) => {}
                Some(tensor) => self.tensor("input_map", tensor, spec),
                None if spec.optional => {}
                None => {
                    let message = format!(
                        "in ensemble {ensemble}, input {} in model {model} is not mapped to any ensemble tensors",
                        spec.name
                    );
                    self.fault("input_map", message);
                }
            }
        }
    }

    fn outputs(&mut self) {
        let (ensemble, model) = (self.ensemble, &self.step.model_name);
        let specs = &self.model.interface().outputs;
        for (output, tensor) in &self.step.output_map {
            if let Some(spec) = specs.iter().find(|spec| *spec.name == **output) {
                self.tensor("output_map", tensor, spec);
                continue;
            }
            let message = format!(
                "in ensemble {ensemble}, ensemble tensor {tensor} is mapped from non-existing output {output} in model \
                 {model}"
            );
            self.fault(&format!("output_map[\"{output}\"]"), message);
        }
    }

    /// Compares what the model implies about a tensor with what is known of it.
    fn tensor(&mut self, map: &str, tensor: &'a str, spec: &TensorSpec) {
        let (model, interface) = (&self.step.model_name, self.model.interface());
        let is_gathered = self.fan_out.is_some() && map == "output_map";
        let of = if is_gathered { Inferred::gathered } else { Inferred::new };
        let here = of(model, interface, spec.data_type, &spec.dims);
        let known = self.tensors.entry(tensor).or_insert_with(|| here.clone());
        if let Some(how) = known.contradicts(&here) {
            let message = format!("in ensemble {}, ensemble tensor {tensor}: {how}", self.ensemble);
            self.fault(&format!("{map}[\"{}\"]", spec.name), message);
        }
    }

    fn fault(&mut self, field: &str, message: String) {
        self.faults.push(Fault::new(format!("{}.{field}", self.path), message, FaultKind::Other));
    }
}
