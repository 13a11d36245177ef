//! Requests for the identity model, and the content of its responses.

use bytes::Bytes;
use hippocamp_proto::inference::infer_parameter::ParameterChoice;
use hippocamp_proto::inference::model_infer_request::InferInputTensor;
use hippocamp_proto::inference::{InferParameter, ModelInferRequest, ModelInferResponse};

/// A request with an FP32 input of the given shape.
pub(crate) fn fp32(model: &str, id: &str, shape: &[i64], values: &[f32]) -> ModelInferRequest {
    raw(model, id, "FP32", shape, values.iter().flat_map(|v| v.to_le_bytes()).collect())
}

pub(crate) fn raw(model: &str, id: &str, datatype: &str, shape: &[i64], data: Vec<u8>) -> ModelInferRequest {
    ModelInferRequest {
        model_name: model.to_owned(),
        id: id.to_owned(),
        inputs: vec![InferInputTensor {
            name: "INPUT0".to_owned(),
            datatype: datatype.to_owned(),
            shape: shape.to_vec(),
            ..InferInputTensor::default()
        }],
        raw_input_contents: vec![Bytes::from(data)],
        ..ModelInferRequest::default()
    }
}

pub(crate) fn values(response: &ModelInferResponse) -> Vec<f32> {
    let chunks = response.raw_output_contents[0].as_chunks::<4>().0;
    chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// Adds a parameter.
pub(crate) fn with(mut request: ModelInferRequest, name: &str, value: u64) -> ModelInferRequest {
    let value = InferParameter { parameter_choice: Some(ParameterChoice::Int64Param(value as i64)) };
    request.parameters.insert(name.to_owned(), value);
    request
}

/// Sets a flag.
pub(crate) fn with_flag(mut request: ModelInferRequest, name: &str) -> ModelInferRequest {
    let value = InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(true)) };
    request.parameters.insert(name.to_owned(), value);
    request
}
