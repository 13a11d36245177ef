//! From a response of the model to a `ModelInferResponse`.

use std::collections::VecDeque;

use bytes::Bytes;
use hippocamp_backend::{Response, Result};
use hippocamp_core::{LoadedModel, OutputPlan};
use hippocamp_grpc_content::pieces;
use hippocamp_proto::inference::ModelInferResponse;
use hippocamp_proto::inference::model_infer_response::InferOutputTensor;
use hippocamp_tensor::{HostSegments, TensorData};
use smallvec::SmallVec;
use tonic::Status;

use crate::parameters::response_parameters;

/// The number of the field `raw_output_contents`.
const RAW_OUTPUT_CONTENTS: u8 = 6;

/// A reply whose tensors are still where the model left them.
#[derive(Debug)]
pub(crate) struct Reply {
    /// All but the raw tensors.
    message: ModelInferResponse,
    /// One an output.
    raw: SmallVec<[HostSegments; 4]>,
}

/// Makes the reply. There is one raw entry an output, at the same place: clients count on it. Outputs that go to shared
/// memory are written there, and have an empty one. Copies no other tensor, but transfers what is not host memory of this
/// process.
pub(crate) fn reply(
    model: &LoadedModel,
    id: String,
    plan: &mut OutputPlan,
    response: Response,
) -> Result<Reply> {
    let mut message = ModelInferResponse {
        model_name: model.name.to_string(),
        model_version: model.version_text.to_string(),
        id,
        parameters: response_parameters(&response.parameters),
        outputs: Vec::with_capacity(response.outputs.len()),
        raw_output_contents: Vec::new(),
    };
    let mut raw = SmallVec::with_capacity(response.outputs.len());
    plan.deliver(model, response.outputs, |output| {
        raw.push(output.data.map(TensorData::into_host).transpose()?.unwrap_or_default());
        message.outputs.push(InferOutputTensor {
            name: output.spec.name.to_string(),
            datatype: output.data_type.protocol_name().to_owned(),
            shape: output.shape.to_vec(),
            ..InferOutputTensor::default()
        });
        Ok(())
    })?;
    Ok(Reply { message, raw })
}

impl Reply {
    /// The message as a whole, for where it is a part of another one. Copies tensors that lie in several pieces.
    pub(crate) fn into_message(self) -> Result<ModelInferResponse> {
        let mut message = self.message;
        message.raw_output_contents =
            self.raw.iter().map(HostSegments::join).collect::<std::result::Result<_, _>>()?;
        Ok(message)
    }

    /// The encoded message behind its header, in pieces that are to be sent one after the other. Copies no large tensor.
    // A function of its own for `scripts/bench instructions`.
    #[inline(never)]
    pub(crate) fn into_pieces(self) -> std::result::Result<VecDeque<Bytes>, Status> {
        pieces(&self.message, RAW_OUTPUT_CONTENTS, self.raw)
    }
}
