//! A loaded pipeline.

use std::path::Path;
use std::sync::Arc;

use hippocamp_backend::{Error, InstanceSpec, Model, NewInstance, Result};
use hippocamp_model_config::{
    CompleteOptions, Fault, FaultKind, Faults, ModelConfig, Signature, SignatureTensor, check, complete,
};
use hippocamp_tensor::{Allocator, Shape};

use crate::instance::VisionInstance;
use crate::pipeline::{Named, Pipeline};
use crate::replaced::ReplacedLog;
use crate::value::Slot;

/// The pipeline of a model.
#[derive(Debug)]
pub struct VisionModel {
    name: Arc<str>,
    pipeline: Pipeline,
    replaced: Arc<ReplacedLog>,
    pinned: Option<Arc<dyn Allocator>>,
}

impl VisionModel {
    /// Parses a `pipeline.toml`; messages call it `origin`.
    pub fn from_text(name: Arc<str>, origin: &str, text: &str) -> Result<VisionModel> {
        VisionModel::new(name, Pipeline::read(origin, text))
    }

    /// Parses a pipeline that may name label files, which are looked for in `folders`.
    pub fn from_text_beside(
        folders: &[&Path],
        name: Arc<str>,
        origin: &str,
        text: &str,
    ) -> Result<VisionModel> {
        VisionModel::new(name, Pipeline::read_beside(folders, origin, text))
    }

    fn new(name: Arc<str>, pipeline: Result<Pipeline, Faults>) -> Result<VisionModel> {
        let pipeline = pipeline.map_err(|faults| {
            Error::invalid_arg(format!("unable to load model '{name}', {faults}")).with_source(faults)
        })?;
        Ok(VisionModel { replaced: ReplacedLog::new(&name), name, pipeline, pinned: None })
    }

    /// Writes tensors that are wanted by models on a device to pinned memory, if there is some.
    #[must_use]
    pub fn with_pinned_memory(self, pinned: Option<Arc<dyn Allocator>>) -> VisionModel {
        VisionModel { pinned, ..self }
    }

    /// Inputs and outputs of the pipeline, as the signature of a model file. With a batch dimension every tensor has
    /// one dimension more. The config may define what the pipeline leaves open.
    fn signature(&self, config: &ModelConfig) -> Signature {
        let is_batched = config.max_batch_size > 0;
        let input = |slot: &Slot| {
            let value = self.pipeline.value(*slot)?;
            let listed = config.input.iter().find(|input| input.name == value.name);
            let declared = listed
                .map(|input| input.reshape.as_ref().map_or(&input.dims[..], |reshape| &reshape.shape[..]));
            Some(tensor(value, declared, is_batched))
        };
        let output = |slot: &Slot| {
            let value = self.pipeline.value(*slot)?;
            let listed = config.output.iter().find(|output| output.name == value.name);
            let declared = listed
                .map(|output| output.reshape.as_ref().map_or(&output.dims[..], |reshape| &reshape.shape[..]));
            Some(tensor(value, declared, is_batched))
        };
        Signature {
            inputs: self.pipeline.inputs.iter().filter_map(input).collect(),
            outputs: self.outputs(config).iter().filter_map(output).collect(),
        }
    }

    /// The outputs: those of the pipeline, and any other value that the config names.
    fn outputs(&self, config: &ModelConfig) -> Vec<Slot> {
        let mut outputs = self.pipeline.outputs.clone();
        for output in &config.output {
            outputs.extend(self.pipeline.written(&output.name).filter(|slot| !outputs.contains(slot)));
        }
        outputs
    }

    fn refused(&self, faults: Vec<Fault>) -> Error {
        let prefix = format!("unable to load model '{}', ", self.name);
        let each = faults.iter().map(|fault| fault.message.strip_prefix(&prefix).unwrap_or(&fault.message));
        let text = format!("{prefix}{}", each.collect::<Vec<_>>().join("; "));
        Error::invalid_arg(text).with_source(Faults { origin: "config".to_owned(), faults })
    }
}

impl Model for VisionModel {
    fn complete_config(&self, config: &mut ModelConfig, default_max_batch_size: i32) -> Result<()> {
        let options = CompleteOptions { default_max_batch_size, disable: false };
        // Whether the model will be batched is not known yet; it can be.
        let batched = ModelConfig { max_batch_size: 1, ..config.clone() };
        complete(config, &self.signature(&batched), &options).map_err(|faults| self.refused(faults))
    }

    fn check_config(&self, config: &ModelConfig) -> Result<()> {
        let optional = config.input.iter().enumerate().filter(|(_, input)| input.optional);
        let mut faults: Vec<Fault> = optional
            .map(|(index, input)| {
                let message = format!("input '{}' is optional, the pipeline needs every input", input.name);
                Fault::new(format!("input[{index}].optional"), message, FaultKind::Other)
            })
            .collect();
        faults.extend(check(config, &self.signature(config)).err().unwrap_or_default());
        if faults.is_empty() { Ok(()) } else { Err(self.refused(faults)) }
    }

    fn new_instance(&self, spec: &InstanceSpec) -> Result<NewInstance> {
        Ok(NewInstance::bound(VisionInstance::new(
            &self.name,
            &self.pipeline,
            &spec.interface,
            &self.replaced,
            self.pinned.clone(),
        )?))
    }
}

/// A value as a tensor of the model. Without a batch dimension, the config may still declare a leading dimension of 1,
/// as older configs do; then the tensor has it. Sizes that depend on the image are taken from the config, and each
/// image is checked against them.
fn tensor(value: &Named, declared: Option<&[i64]>, is_batched: bool) -> SignatureTensor {
    let mut dims = value.kind.dims();
    if !is_batched && declared.is_some_and(|declared| has_leading_one(declared, &dims)) {
        dims = dims.with_batch(1);
    }
    let declared = declared.filter(|declared| declared.len() == dims.len()).unwrap_or(&dims);
    let settled = dims.iter().zip(declared).map(|(own, declared)| if *own == -1 { *declared } else { *own });
    let dims: Shape =
        if is_batched { std::iter::once(-1).chain(settled).collect() } else { settled.collect() };
    SignatureTensor {
        name: value.name.clone(),
        data_type: value.kind.data_type(),
        dims: Some(dims.to_vec()),
        optional: false,
    }
}

/// Whether the declared dims have a leading 1 in addition to the value's own dims.
pub(crate) fn has_leading_one(declared: &[i64], own: &Shape) -> bool {
    declared.len() == own.len() + 1 && matches!(declared.first(), Some(1 | -1))
}
