//! Whether the models of an ensemble fit together: what Triton checks once they are loaded, with its texts.

use std::collections::BTreeMap;

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::{Interface, Step, TensorSpec};
use hippocamp_tensor::{DataType, Shape};

use crate::StepModel;

/// What is known of a tensor of the ensemble, and from which model.
#[derive(Clone, Debug)]
struct Inferred<'a> {
    model: &'a str,
    data_type: DataType,
    dims: Shape,
    /// `dims` behind a batch dimension, if the model has one.
    full_dims: Shape,
}

impl<'a> Inferred<'a> {
    fn new(model: &'a str, interface: &Interface, data_type: DataType, dims: &Shape) -> Inferred<'a> {
        let full_dims = if interface.max_batch_size > 0 { dims.with_batch(-1) } else { dims.clone() };
        Inferred { model, data_type, dims: dims.clone(), full_dims }
    }

    /// Two models agree on a tensor if its shapes do, with the batch dimension or without. Sizes that one of them leaves
    /// open are checked when a request comes.
    fn agree(&self, other: &Inferred<'_>, what: &str) -> Result<()> {
        if self.data_type != other.data_type {
            return Err(Error::invalid_arg(format!(
                "{what}inconsistent data type: {} is inferred from model {} while {} is inferred from model {}",
                self.data_type.config_name(),
                self.model,
                other.data_type.config_name(),
                other.model
            )));
        }
        if can_be_equal(&self.dims, &other.dims) || can_be_equal(&self.full_dims, &other.full_dims) {
            return Ok(());
        }
        Err(Error::invalid_arg(format!(
            "{what}inconsistent shape: {} is inferred from model {} while {} is inferred from model {}",
            self.full_dims, self.model, other.full_dims, other.model
        )))
    }
}

fn can_be_equal(a: &Shape, b: &Shape) -> bool {
    a.len() == b.len() && a.iter().zip(b.iter()).all(|(&a, &b)| a == b || a == -1 || b == -1)
}

/// Checks the steps in the config's order, each with its model.
pub(crate) fn check(ensemble: &str, interface: &Interface, steps: &[(&Step, &dyn StepModel)]) -> Result<()> {
    let mut tensors = BTreeMap::new();
    for spec in interface.inputs.iter().chain(&interface.outputs) {
        let dims = spec.reshape.as_ref().unwrap_or(&spec.dims);
        let inferred = Inferred::new(ensemble, interface, spec.data_type, dims);
        tensors.entry(&*spec.name).or_insert(inferred);
    }
    for &(step, model) in steps {
        let (max, least) = (model.interface().max_batch_size, interface.max_batch_size);
        if max != 0 && max < least {
            return Err(Error::invalid_arg(format!(
                "ensemble {ensemble} allows maximum batch size {least}, but it contains model {} which only allows \
                 maximum batch size to be {max}",
                step.model_name
            )));
        }
        let mut check = CheckStep { ensemble, step, model, tensors: &mut tensors };
        check.inputs()?;
        check.outputs()?;
    }
    Ok(())
}

struct CheckStep<'a, 'b> {
    ensemble: &'a str,
    step: &'a Step,
    model: &'a dyn StepModel,
    tensors: &'b mut BTreeMap<&'a str, Inferred<'a>>,
}

impl<'a> CheckStep<'a, '_> {
    fn inputs(&mut self) -> Result<()> {
        let (ensemble, model) = (self.ensemble, &self.step.model_name);
        let specs = &self.model.interface().inputs;
        for (input, tensor) in &self.step.input_map {
            if !specs.iter().any(|spec| *spec.name == **input) {
                return Err(Error::invalid_arg(format!(
                    "in ensemble {ensemble}, ensemble tensor {tensor} is mapping to non-existing input {input} in \
                     model {model}"
                )));
            }
        }
        for spec in specs {
            match self.step.input_map.get(&*spec.name) {
                Some(tensor) => self.tensor(tensor, spec)?,
                None if spec.optional => {}
                None => {
                    return Err(Error::invalid_arg(format!(
                        "in ensemble {ensemble}, input {} in model {model} is not mapped to any ensemble tensors",
                        spec.name
                    )));
                }
            }
        }
        Ok(())
    }

    fn outputs(&mut self) -> Result<()> {
        let (ensemble, model) = (self.ensemble, &self.step.model_name);
        let specs = &self.model.interface().outputs;
        for (output, tensor) in &self.step.output_map {
            let Some(spec) = specs.iter().find(|spec| *spec.name == **output) else {
                return Err(Error::invalid_arg(format!(
                    "in ensemble {ensemble}, ensemble tensor {tensor} is mapped from non-existing output {output} in \
                     model {model}"
                )));
            };
            self.tensor(tensor, spec)?;
        }
        Ok(())
    }

    /// Compares what the model says of a tensor with what is known of it.
    fn tensor(&mut self, tensor: &'a str, spec: &TensorSpec) -> Result<()> {
        let here = Inferred::new(&self.step.model_name, self.model.interface(), spec.data_type, &spec.dims);
        let what = format!("in ensemble {}, ensemble tensor {tensor}: ", self.ensemble);
        self.tensors.entry(tensor).or_insert_with(|| here.clone()).agree(&here, &what)
    }
}
