//! From a `ModelInferRequest` to a request for the model. Tensors stay slices of the received message.

use std::time::Instant;

use hippocamp_backend::{Error, Result, Sequence};
use hippocamp_core::{
    IncomingRequest, InferInput, InferRequest, LoadedModel, Origin, OutputPlan, check_tensor_count,
    class_count,
};
use hippocamp_proto::inference::infer_parameter::ParameterChoice;
use hippocamp_proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use hippocamp_shm::SharedMemory;
use hippocamp_tensor::{DataType, Shape, TensorData};
use smallvec::SmallVec;

use crate::contents;
use crate::parameters::RequestParameters;
use crate::shared_memory::Place;

/// A message with its raw tensors, wherever they are, and what its parameters say.
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) inputs: Vec<InferInputTensor>,
    pub(crate) outputs: Vec<InferRequestedOutputTensor>,
    pub(crate) raw: Vec<TensorData>,
    pub(crate) parameters: RequestParameters,
    pub(crate) arrived: Instant,
}

impl IncomingRequest for Message {
    fn sequence(&self) -> Option<&Sequence> {
        self.parameters.sequence.as_ref()
    }

    fn decode<'a>(
        &'a mut self,
        model: &'a LoadedModel,
        memory: &SharedMemory,
        outputs: &mut OutputPlan,
    ) -> Result<InferRequest<'a>> {
        request(self, model, memory, outputs)
    }
}

/// Makes the request. The n-th raw tensor belongs to the n-th input that is not in shared memory.
// A function of its own for `scripts/bench instructions`.
#[inline(never)]
fn request<'a>(
    message: &'a mut Message,
    model: &LoadedModel,
    memory: &SharedMemory,
    plan: &mut OutputPlan,
) -> Result<InferRequest<'a>> {
    check_tensor_count(message.inputs.len(), "inputs")?;
    check_tensor_count(message.outputs.len(), "outputs")?;
    let has_raw = !message.raw.is_empty();
    let mut raw = std::mem::take(&mut message.raw).into_iter();
    let parameters = std::mem::take(&mut message.parameters);
    let inputs: Result<_> = message
        .inputs
        .iter()
        .map(|tensor| {
            let data_type = DataType::from_protocol_name(&tensor.datatype);
            let data = match Place::of(&tensor.name, &tensor.parameters)? {
                Some(_) if tensor.contents.is_some() => return Err(shared_and_contents(model, tensor)),
                Some(place) => plan.shared_input(memory, place.region, place.offset, place.byte_size)?,
                None if has_raw => raw_data(model, tensor, raw.next())?,
                None => typed_data(model, tensor)?,
            };
            let shape = Shape::from(&tensor.shape[..]);
            Ok(InferInput { name: &tensor.name, data_type, shape, data })
        })
        .collect();
    let outputs = outputs(memory, &message.outputs, plan)?;
    Ok(InferRequest {
        id: &message.id,
        inputs: inputs?,
        outputs,
        output_place: hippocamp_tensor::Place::Host,
        placed_outputs: smallvec::SmallVec::new(),
        parameters: parameters.custom,
        priority: parameters.priority,
        timeout: parameters.timeout,
        sequence: parameters.sequence,
        arrived: message.arrived,
        origin: Origin::default(),
    })
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

/// The names of the outputs that are asked for, and into `plan` what is to become of them.
fn outputs<'a>(
    memory: &SharedMemory,
    requested: &'a [InferRequestedOutputTensor],
    plan: &mut OutputPlan,
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
            plan.classify(&output.name, class_count(&output.name, count)?);
        }
        if let Some(place) = place {
            plan.shared_output(memory, &output.name, place.region, place.offset, place.byte_size)?;
        }
        names.push(output.name.as_str());
    }
    Ok(names)
}
