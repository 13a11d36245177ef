//! From a response of the model to a `ModelInferResponse`.

use bytes::Bytes;
use hippocamp_backend::{Response, Result};
use hippocamp_core::{LoadedModel, classify};
use hippocamp_proto::inference::ModelInferResponse;
use hippocamp_proto::inference::model_infer_response::InferOutputTensor;
use hippocamp_tensor::DataType;

use crate::decode::ReplyOptions;
use crate::parameters::response_parameters;

/// Makes the reply. There is one raw entry an output, at the same place: clients count on it. Outputs that go to shared
/// memory are written there, and have an empty one. Copies no other tensor.
pub(crate) fn reply(
    model: &LoadedModel,
    id: String,
    options: &ReplyOptions,
    response: Response,
) -> Result<ModelInferResponse> {
    let mut reply = ModelInferResponse {
        model_name: model.name.to_string(),
        model_version: model.version_text.to_string(),
        id,
        parameters: response_parameters(&response.parameters),
        outputs: Vec::with_capacity(response.outputs.len()),
        raw_output_contents: Vec::with_capacity(response.outputs.len()),
    };
    for output in response.outputs {
        let spec = &model.interface.outputs[output.index];
        let wanted = options.classifications.iter().find(|(name, _)| *name == *spec.name);
        let (data_type, shape, data) = if let Some((_, count)) = wanted {
            let (shape, data) = classify(model, &output, *count)?;
            (DataType::Bytes, shape, data)
        } else if options.shared.write(&spec.name, &output.data)? {
            (spec.data_type, output.shape, Bytes::new())
        } else {
            (spec.data_type, output.shape, output.data.to_contiguous())
        };
        reply.outputs.push(InferOutputTensor {
            name: spec.name.to_string(),
            datatype: data_type.protocol_name().to_owned(),
            shape: shape.to_vec(),
            ..InferOutputTensor::default()
        });
        reply.raw_output_contents.push(data);
    }
    options.shared.check_inputs()?;
    Ok(reply)
}
