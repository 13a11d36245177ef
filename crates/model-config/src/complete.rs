//! Completes a config from the signature of the model file, as Triton's auto-completion does for ONNX models.

use hippocamp_proto::inference::{
    ModelConfig, ModelDynamicBatching, ModelInput, ModelOutput, ModelTensorReshape,
    model_config::SchedulingChoice,
};

use crate::check::{unexpected_input, unexpected_output};
use crate::signature::{Signature, SignatureTensor, server_inputs, state_outputs};
use crate::{config_value, defaults};
use hippocamp_interface::{Fault, FaultKind};

/// Options of [`complete`].
#[derive(Clone, Debug)]
pub struct CompleteOptions {
    /// The `max_batch_size` for models that support batching and whose config has none. 0 or less disables batching for them.
    pub default_max_batch_size: i32,
    /// Disables completion.
    pub disable: bool,
}

impl Default for CompleteOptions {
    fn default() -> Self {
        CompleteOptions { default_max_batch_size: 4, disable: false }
    }
}

/// Fills in inputs, outputs, `max_batch_size` and dynamic batching from the model file.
///
/// A config whose inputs and outputs are all there is left alone, also if it has no `max_batch_size`: whoever wrote the
/// shapes meant them. A listed tensor without data type or dims gets them by its name; a list that is empty gets every
/// tensor that a request has to bring, which excludes optional ones and those that the server fills. The model can batch
/// if the first dimension of every tensor is free.
///
/// Errors name the model. After an error the config is incomplete and must not be used.
pub fn complete(
    config: &mut ModelConfig,
    signature: &Signature,
    options: &CompleteOptions,
) -> Result<(), Vec<Fault>> {
    if options.disable || crate::is_ensemble(config) || config.max_batch_size < 0 || is_complete(config) {
        return Ok(());
    }
    if can_batch(signature) {
        if config.max_batch_size == 0 && !has_complete_shape(config, signature) {
            config.max_batch_size = options.default_max_batch_size.max(0);
        }
        if config.max_batch_size > 1 && config.scheduling_choice.is_none() {
            let batching = ModelDynamicBatching::default();
            config.scheduling_choice = Some(SchedulingChoice::DynamicBatching(batching));
        }
    } else if config.max_batch_size > 0 {
        let message = format!(
            "autofill failed for model '{}': model does not support batching while non-zero max_batch_size is \
             specified",
            config.name
        );
        return Err(vec![Fault::new("max_batch_size", message, FaultKind::NotBatching)]);
    }
    let mut errors = complete_inputs(config, signature);
    errors.extend(complete_outputs(config, signature));
    defaults::batching(config);
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn is_complete(config: &ModelConfig) -> bool {
    let inputs = !config.input.is_empty() || !config.batch_input.is_empty();
    inputs
        && !config.output.is_empty()
        && config.input.iter().all(|input| input.data_type != 0 && !input.dims.is_empty())
        && config.output.iter().all(|output| output.data_type != 0 && !output.dims.is_empty())
}

fn can_batch(signature: &Signature) -> bool {
    signature
        .required_inputs()
        .chain(&signature.outputs)
        .all(|tensor| tensor.dims.as_deref().and_then(<[i64]>::first) == Some(&-1))
}

/// Whether a tensor is listed with as many dimensions as the model has for it: then none of them is left to batch by.
fn has_complete_shape(config: &ModelConfig, signature: &Signature) -> bool {
    let is_whole = |dims: &[i64], reshape: Option<&ModelTensorReshape>, tensor: Option<&SignatureTensor>| {
        let written = reshape.map_or(dims, |reshape| &reshape.shape);
        !dims.is_empty()
            && tensor.and_then(|tensor| tensor.dims.as_ref()).map(Vec::len) == Some(written.len())
    };
    config
        .input
        .iter()
        .any(|input| is_whole(&input.dims, input.reshape.as_ref(), signature.input(&input.name)))
        || config
            .output
            .iter()
            .any(|output| is_whole(&output.dims, output.reshape.as_ref(), signature.output(&output.name)))
}

fn complete_inputs(config: &mut ModelConfig, signature: &Signature) -> Vec<Fault> {
    if config.input.is_empty() && config.batch_input.is_empty() {
        let filled = server_inputs(config);
        config.input = signature
            .required_inputs()
            .filter(|tensor| !filled.contains(tensor.name.as_str()))
            .map(|tensor| ModelInput { name: tensor.name.clone(), ..Default::default() })
            .collect();
    }
    let is_batching = config.max_batch_size > 0;
    let mut errors = Vec::new();
    for (index, input) in config.input.iter_mut().enumerate() {
        if input.data_type != 0 && !input.dims.is_empty() {
            continue;
        }
        let Some(tensor) = signature.input(&input.name) else {
            let message = unexpected_input(&input.name, signature);
            errors.push(Fault::new(format!("input[{index}].name"), message, FaultKind::Other));
            continue;
        };
        if tensor.dims.is_none() && input.dims.is_empty() {
            let message = format!(
                "unable to load model '{}', the model file does not say how many dimensions input '{}' has: the config has to \
                 give its dims",
                config.name, input.name
            );
            errors.push(Fault::new(format!("input[{index}].dims"), message, FaultKind::Other));
            continue;
        }
        fill(tensor, is_batching, &mut input.data_type, &mut input.dims, &mut input.reshape);
    }
    errors
}

fn complete_outputs(config: &mut ModelConfig, signature: &Signature) -> Vec<Fault> {
    if config.output.is_empty() {
        let kept = state_outputs(config);
        config.output = signature
            .outputs
            .iter()
            .filter(|tensor| !kept.contains(tensor.name.as_str()))
            .map(|tensor| ModelOutput { name: tensor.name.clone(), ..Default::default() })
            .collect();
    }
    let is_batching = config.max_batch_size > 0;
    let mut errors = Vec::new();
    for (index, output) in config.output.iter_mut().enumerate() {
        if output.data_type != 0 && !output.dims.is_empty() {
            continue;
        }
        let Some(tensor) = signature.output(&output.name) else {
            let message = unexpected_output(&output.name, signature);
            errors.push(Fault::new(format!("output[{index}].name"), message, FaultKind::Other));
            continue;
        };
        fill(tensor, is_batching, &mut output.data_type, &mut output.dims, &mut output.reshape);
    }
    errors
}

fn fill(
    tensor: &SignatureTensor,
    is_batching: bool,
    data_type: &mut i32,
    dims: &mut Vec<i64>,
    reshape: &mut Option<ModelTensorReshape>,
) {
    if *data_type == 0 {
        *data_type = config_value(tensor.data_type);
    }
    if !dims.is_empty() {
        return;
    }
    let Some(all) = tensor.dims.as_deref() else {
        // An output of any rank. A config has to have some shape for it.
        dims.push(-1);
        return;
    };
    // A config cannot say that a tensor has no elements: what is 0 in the model is free in the config.
    let written = |dim: &i64| if *dim == 0 { -1 } else { *dim };
    *dims = all.get(usize::from(is_batching)..).unwrap_or_default().iter().map(written).collect();
    if dims.is_empty() {
        // A config has no scalars. One for each item of a batch is an item of shape [1], which the model sees as [].
        dims.push(1);
        if is_batching && reshape.is_none() {
            *reshape = Some(ModelTensorReshape::default());
        }
    }
}

#[cfg(test)]
mod tests;
