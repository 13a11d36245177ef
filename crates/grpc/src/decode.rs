//! From a `ModelInferRequest` to a request for the model. Tensors stay slices of the received message.

use std::time::Instant;

use bytes::Bytes;
use hippocamp_backend::{Error, Result};
use hippocamp_core::{InferInput, InferRequest, LoadedModel};
use hippocamp_proto::inference::infer_parameter::ParameterChoice;
use hippocamp_proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use hippocamp_tensor::{DataType, Shape, TensorData};
use smallvec::SmallVec;

use crate::contents;
use crate::parameters::RequestParameters;

/// What a client wants done with the outputs, beyond getting them.
#[derive(Debug, Default)]
pub(crate) struct OutputOptions {
    /// Names of outputs of which only the best classes are wanted, and how many.
    pub(crate) classifications: SmallVec<[(String, usize); 1]>,
}

/// The inputs and outputs of a message, which the request borrows its names from.
pub(crate) struct Message<'a> {
    pub(crate) id: &'a str,
    pub(crate) inputs: &'a [InferInputTensor],
    pub(crate) outputs: &'a [InferRequestedOutputTensor],
    pub(crate) raw: Vec<Bytes>,
    pub(crate) arrived: Instant,
}

/// Makes the request. The n-th raw tensor belongs to the n-th input.
pub(crate) fn request<'a>(
    model: &LoadedModel,
    message: Message<'a>,
    parameters: RequestParameters,
) -> Result<(InferRequest<'a>, OutputOptions)> {
    let has_raw = !message.raw.is_empty();
    let mut raw = message.raw.into_iter();
    let inputs: Result<_> = message
        .inputs
        .iter()
        .map(|tensor| {
            refuse_shared_memory(&tensor.name, &tensor.parameters)?;
            let data_type = DataType::from_protocol_name(&tensor.datatype);
            let data =
                if has_raw { raw_data(model, tensor, raw.next())? } else { typed_data(model, tensor)? };
            let shape = Shape::from(&tensor.shape[..]);
            Ok(InferInput { name: &tensor.name, data_type, shape, data })
        })
        .collect();
    let (outputs, options) = outputs(message.outputs)?;
    let request = InferRequest {
        id: message.id,
        inputs: inputs?,
        outputs,
        parameters: parameters.custom,
        priority: parameters.priority,
        timeout: parameters.timeout,
        sequence: parameters.sequence,
        arrived: message.arrived,
    };
    Ok((request, options))
}

fn raw_data(model: &LoadedModel, tensor: &InferInputTensor, raw: Option<Bytes>) -> Result<TensorData> {
    if tensor.contents.is_some() {
        return Err(Error::invalid_arg(format!(
            "contents field must not be specified when using raw_input_contents for '{}' for model '{}'",
            tensor.name, model.name
        )));
    }
    raw.map(TensorData::from).ok_or_else(|| no_data(model, tensor))
}

fn typed_data(model: &LoadedModel, tensor: &InferInputTensor) -> Result<TensorData> {
    let contents = tensor.contents.as_ref().ok_or_else(|| no_data(model, tensor))?;
    // An unknown type is refused when the request is checked, where every protocol gets the same text.
    let Some(data_type) = DataType::from_protocol_name(&tensor.datatype) else {
        return Ok(TensorData::default());
    };
    contents::to_bytes(contents, data_type, &tensor.name, &model.name).map(TensorData::from)
}

#[cold]
fn no_data(model: &LoadedModel, tensor: &InferInputTensor) -> Error {
    Error::invalid_arg(format!(
        "unable to find data for input tensor '{}' for model '{}' in request.",
        tensor.name, model.name
    ))
}

type Parameters = std::collections::BTreeMap<String, hippocamp_proto::inference::InferParameter>;

/// No region can be registered yet, so none is found.
fn refuse_shared_memory(tensor: &str, parameters: &Parameters) -> Result<()> {
    let Some(region) = parameters.get("shared_memory_region") else { return Ok(()) };
    match &region.parameter_choice {
        Some(ParameterChoice::StringParam(name)) => {
            Err(Error::not_found(format!("Unable to find shared memory region: '{name}'")))
        }
        _ => Err(Error::invalid_arg(format!(
            "invalid value type for 'shared_memory_region' parameter for tensor '{tensor}', expected string_param."
        ))),
    }
}

fn outputs(requested: &[InferRequestedOutputTensor]) -> Result<(SmallVec<[&str; 4]>, OutputOptions)> {
    let mut names = SmallVec::new();
    let mut options = OutputOptions::default();
    for output in requested {
        refuse_shared_memory(&output.name, &output.parameters)?;
        if let Some(count) = output.parameters.get("classification") {
            let Some(ParameterChoice::Int64Param(count)) = count.parameter_choice else {
                let text = "invalid value type for 'classification' parameter, expected int64_param";
                return Err(Error::invalid_arg(text));
            };
            if count <= 0 {
                return Err(Error::invalid_arg(
                    "invalid value for 'classification' parameter, expected >= 0",
                ));
            }
            options.classifications.push((output.name.clone(), usize::try_from(count).unwrap_or(usize::MAX)));
        }
        names.push(output.name.as_str());
    }
    Ok((names, options))
}
