//! From a `ModelInferRequest` to a request for the model. Tensors stay slices of the received message.

use std::time::Instant;

use hippocamp_backend::{Error, Result};
use hippocamp_core::{InferInput, InferRequest, LoadedModel, check_tensor_count, class_count};
use hippocamp_proto::inference::infer_parameter::ParameterChoice;
use hippocamp_proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use hippocamp_shm::{SharedMemory, SharedTensors};
use hippocamp_tensor::{DataType, Shape, TensorData};
use smallvec::SmallVec;

use crate::contents;
use crate::parameters::RequestParameters;
use crate::shared_memory::Place;

/// What has to be known of a request when its responses are encoded.
#[derive(Debug, Default)]
pub(crate) struct ReplyOptions {
    /// Names of outputs of which only the best classes are wanted, in their order, and how many.
    pub(crate) classifications: SmallVec<[(String, usize); 1]>,
    /// Outputs that are to be written to shared memory, and the inputs that lie there.
    pub(crate) shared: SharedTensors,
}

/// The inputs and outputs of a message, which the request borrows its names from.
pub(crate) struct Message<'a> {
    pub(crate) id: &'a str,
    pub(crate) inputs: &'a [InferInputTensor],
    pub(crate) outputs: &'a [InferRequestedOutputTensor],
    pub(crate) raw: Vec<TensorData>,
    pub(crate) arrived: Instant,
}

impl ReplyOptions {
    /// How many of an output's best classes are wanted; `None` if its values are.
    pub(crate) fn classes(&self, output: &str) -> Option<usize> {
        let found = self.classifications.binary_search_by(|(name, _)| (**name).cmp(output)).ok()?;
        Some(self.classifications[found].1)
    }
}

/// Makes the request. The n-th raw tensor belongs to the n-th input that is not in shared memory.
// A function of its own for `scripts/bench instructions`.
#[inline(never)]
pub(crate) fn request<'a>(
    memory: &SharedMemory,
    model: &LoadedModel,
    message: Message<'a>,
    parameters: RequestParameters,
) -> Result<(InferRequest<'a>, ReplyOptions)> {
    check_tensor_count(message.inputs.len(), "inputs")?;
    check_tensor_count(message.outputs.len(), "outputs")?;
    let has_raw = !message.raw.is_empty();
    let mut raw = message.raw.into_iter();
    let mut options = ReplyOptions::default();
    let inputs: Result<_> = message
        .inputs
        .iter()
        .map(|tensor| {
            let data_type = DataType::from_protocol_name(&tensor.datatype);
            let data = match Place::of(&tensor.name, &tensor.parameters)? {
                Some(_) if tensor.contents.is_some() => return Err(shared_and_contents(model, tensor)),
                Some(place) => options.shared.input(memory, place.region, place.offset, place.byte_size)?,
                None if has_raw => raw_data(model, tensor, raw.next())?,
                None => typed_data(model, tensor)?,
            };
            let shape = Shape::from(&tensor.shape[..]);
            Ok(InferInput { name: &tensor.name, data_type, shape, data })
        })
        .collect();
    let outputs = outputs(memory, message.outputs, &mut options)?;
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

fn raw_data(model: &LoadedModel, tensor: &InferInputTensor, raw: Option<TensorData>) -> Result<TensorData> {
    if tensor.contents.is_some() {
        return Err(Error::invalid_arg(format!(
            "contents field must not be specified when using raw_input_contents for '{}' for model '{}'",
            tensor.name, model.name
        )));
    }
    raw.ok_or_else(|| no_data(model, tensor))
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

#[cold]
fn shared_and_contents(model: &LoadedModel, tensor: &InferInputTensor) -> Error {
    Error::invalid_arg(format!(
        "unexpected 'content' provided when using shared memory for input tensor '{}' for model '{}'",
        tensor.name, model.name
    ))
}

/// The names of the outputs that are asked for, and into `options` what is to be done with them.
fn outputs<'a>(
    memory: &SharedMemory,
    requested: &'a [InferRequestedOutputTensor],
    options: &mut ReplyOptions,
) -> Result<SmallVec<[&'a str; 4]>> {
    let mut names = SmallVec::new();
    for output in requested {
        let place = Place::of(&output.name, &output.parameters)?;
        if let Some(count) = output.parameters.get("classification") {
            let Some(ParameterChoice::Int64Param(count)) = count.parameter_choice else {
                let text = "invalid value type for 'classification' parameter, expected int64_param";
                return Err(Error::invalid_arg(text));
            };
            let Some(count) = u64::try_from(count).ok().filter(|count| *count > 0) else {
                let text = "invalid value for 'classification' parameter, expected >= 0";
                return Err(Error::invalid_arg(text));
            };
            if place.is_some() {
                let text = "output can't set both 'shared_memory_region' and 'classification'";
                return Err(Error::invalid_arg(text));
            }
            options.classifications.push((output.name.clone(), class_count(&output.name, count)?));
        }
        if let Some(place) = place {
            options.shared.output(memory, &output.name, place.region, place.offset, place.byte_size)?;
        }
        names.push(output.name.as_str());
    }
    options.classifications.sort_unstable();
    Ok(names)
}
