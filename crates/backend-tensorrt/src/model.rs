//! A loaded plan.

use std::sync::Arc;

use hippocamp_backend::{Device, Error, InstanceSpec, Model, NewInstance, Result};
use hippocamp_model_config::{CompleteOptions, Fault, Faults, Interface, ModelConfig, check, complete};

use crate::engines::{Engines, no_gpu};
use crate::graphs;
use crate::instance::TensorRtInstance;
use crate::plan::Plan;
use crate::signature::{self, mark_shape_tensors};

/// A version of a model, whose engines are shared by its instances.
#[derive(Debug)]
pub(crate) struct TensorRtModel {
    engines: Engines,
    /// What the plan for the first device says. Plans for other kinds of GPUs are expected to be of the same model.
    plan: Plan,
}

impl TensorRtModel {
    pub(crate) fn new(engines: Engines, plan: Plan) -> TensorRtModel {
        TensorRtModel { engines, plan }
    }

    fn refused(&self, faults: Vec<Fault>) -> Error {
        let texts: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
        let mut text = texts.join("; ");
        let has_reshape =
            faults.iter().any(|fault| fault.path.contains("dims") || fault.path.contains("reshape"));
        if has_reshape {
            text.push_str(
                "; the first dimension of a plan's tensors is the batch, which the config leaves out: 'reshape' of plans with an \
                 implicit batch has to go",
            );
        }
        let origin = "config".to_owned();
        let model = self.engines.model();
        let named =
            if text.contains(&**model) { text } else { format!("unable to load model '{model}', {text}") };
        Error::invalid_arg(named).with_source(Faults { origin, faults })
    }
}

impl Model for TensorRtModel {
    fn complete_config(&self, config: &mut ModelConfig, _default_max_batch_size: i32) -> Result<()> {
        // A plan says itself how large its batches can be.
        let most = i32::try_from(self.plan.max_batch_size()).unwrap_or(i32::MAX);
        let options = CompleteOptions { default_max_batch_size: most, disable: false };
        let signature = signature::signature(&self.plan, config.max_batch_size > 0);
        let was_listed = !config.input.is_empty() || !config.output.is_empty();
        complete(config, &signature, &options).map_err(|faults| self.refused(faults))?;
        if !was_listed {
            mark_shape_tensors(config, &self.plan);
        }
        Ok(())
    }

    fn check_config(&self, config: &ModelConfig) -> Result<()> {
        signature::check(config, &self.plan)?;
        let signature = signature::signature(&self.plan, config.max_batch_size > 0);
        let faults = match check(config, &signature) {
            Ok(()) => return Ok(()),
            Err(faults) => faults,
        };
        let has_reshape = config.input.iter().any(|input| input.reshape.is_some())
            || config.output.iter().any(|output| output.reshape.is_some());
        if has_reshape {
            return Err(self.refused(faults));
        }
        let texts: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
        Err(Error::invalid_arg(texts.join("; ")).with_source(Faults { origin: "config".to_owned(), faults }))
    }

    fn prepared_batch_sizes(&self, config: &ModelConfig) -> Vec<usize> {
        Interface::new(config).map(|interface| graphs::sizes(config, &interface)).unwrap_or_default()
    }

    fn new_instance(&self, spec: &InstanceSpec) -> Result<NewInstance> {
        let Device::Gpu(id) = spec.device else {
            let is_without = self.engines.devices().gpus().next().is_none();
            return Err(if is_without {
                no_gpu(self.engines.model(), None)
            } else {
                Error::invalid_arg(format!(
                    "unable to load model '{}', its instance_group asks for the CPU, and TensorRT plans run on GPUs only: write \
                     KIND_GPU, or leave the kind out",
                    self.engines.model()
                ))
            });
        };
        let loaded = self.engines.get(id)?;
        let devices = self.engines.devices();
        // A context, and graphs of it, are used by the thread that made them.
        let instance = TensorRtInstance::new(Arc::clone(self.engines.model()), id, loaded, devices, spec)?;
        Ok(NewInstance::bound(instance))
    }
}
