//! Puts places in shared memory where a request would have tensors.

use std::collections::BTreeMap;

use hippocamp_proto::inference::infer_parameter::ParameterChoice;
use hippocamp_proto::inference::model_infer_request::InferRequestedOutputTensor;
use hippocamp_proto::inference::{InferParameter, ModelInferRequest};
use serde_json::{Value, json};

use crate::shared_memory::{Place, SharedMemory};

const REGION: &str = "shared_memory_region";
const SIZE: &str = "shared_memory_byte_size";
const OFFSET: &str = "shared_memory_offset";

pub(super) fn of_message(message: &mut ModelInferRequest, memory: &SharedMemory, worker: u32) {
    message.raw_input_contents.clear();
    for (input, place) in message.inputs.iter_mut().zip(&memory.input_places) {
        input.parameters = parameters(&memory.inputs.name, place);
    }
    let output = |(name, place): (&str, Place)| InferRequestedOutputTensor {
        name: name.to_owned(),
        parameters: parameters(&memory.outputs.name, &place),
    };
    message.outputs = memory.output_places(worker).map(output).collect();
}

fn parameters(region: &str, place: &Place) -> BTreeMap<String, InferParameter> {
    let text = ParameterChoice::StringParam(region.to_owned());
    let number = |number: u64| ParameterChoice::Int64Param(number.cast_signed());
    let all = [(REGION, text), (SIZE, number(place.size)), (OFFSET, number(place.offset))];
    let parameter =
        |(key, choice): (&str, _)| (key.to_owned(), InferParameter { parameter_choice: Some(choice) });
    all.into_iter().map(parameter).collect()
}

pub(super) fn of_json(json: &mut Value, memory: &SharedMemory, worker: u32) {
    let parameters =
        |region: &str, place: &Place| json!({REGION: region, SIZE: place.size, OFFSET: place.offset});
    for (number, place) in memory.input_places.iter().enumerate() {
        json["inputs"][number]["parameters"] = parameters(&memory.inputs.name, place);
    }
    json["outputs"] = memory
        .output_places(worker)
        .map(|(name, place)| json!({"name": name, "parameters": parameters(&memory.outputs.name, &place)}))
        .collect();
}
