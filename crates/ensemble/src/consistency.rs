//! Checks that the models of an ensemble fit together, as Triton does after loading them, with its messages.

use std::collections::BTreeMap;

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::{Fault, FaultKind, Faults, Interface, Step, TensorSpec};
use hippocamp_tensor::{DataType, Shape};

use crate::StepModel;

/// What a model implies about a tensor of the ensemble.
#[derive(Clone, Debug)]
struct Inferred<'a> {
    model: &'a str,
    data_type: DataType,
    dims: Shape,
    /// The dims after a batch dimension, if the model has one.
    full_dims: Shape,
}

impl<'a> Inferred<'a> {
    fn new(model: &'a str, interface: &Interface, data_type: DataType, dims: &Shape) -> Inferred<'a> {
        let full_dims = if interface.max_batch_size > 0 { dims.with_batch(-1) } else { dims.clone() };
        Inferred { model, data_type, dims: dims.clone(), full_dims }
    }

    /// Compares what two models imply: types have to be equal and shapes compatible, with or without the batch
    /// dimension. Variable sizes are
    /// checked when a request comes. Returns the contradiction, if there is one.
    fn contradicts(&self, other: &Inferred<'_>) -> Option<String> {
        if self.data_type != other.data_type {
            return Some(format!(
                "inconsistent data type: {} is inferred from model {} while {} is inferred from model {}",
                self.data_type.config_name(),
                self.model,
                other.data_type.config_name(),
                other.model
            ));
        }
        if can_be_equal(&self.dims, &other.dims) || can_be_equal(&self.full_dims, &other.full_dims) {
            return None;
        }
        Some(format!(
            "inconsistent shape: {} is inferred from model {} while {} is inferred from model {}",
            self.full_dims, self.model, other.full_dims, other.model
        ))
    }
}

fn can_be_equal(a: &Shape, b: &Shape) -> bool {
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
        if max != 0 && max < least {
            let message = format!(
                "ensemble {ensemble} allows maximum batch size {least}, but it contains model {} which only allows \
                 maximum batch size to be {max}",
                step.model_name
            );
            let kind = FaultKind::Expected { field: "max_batch_size", value: max.to_string() };
            faults.push(Fault::new("max_batch_size", message, kind));
        }
        let (tensors, faults) = (&mut tensors, &mut faults);
        let mut check = CheckStep { ensemble, path, step, model, tensors, faults };
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
        let here = Inferred::new(&self.step.model_name, self.model.interface(), spec.data_type, &spec.dims);
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
