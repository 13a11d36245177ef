//! From a response of the model to a `ModelInferResponse`.

use std::collections::VecDeque;

use bytes::Bytes;
use hippocamp_backend::{Response, Result};
use hippocamp_core::{LoadedModel, OutputPlan};
use hippocamp_proto::inference::ModelInferResponse;
use hippocamp_proto::inference::model_infer_response::InferOutputTensor;
use hippocamp_tensor::{HostSegments, TensorData};
use prost::Message;
use smallvec::SmallVec;
use tonic::Status;

use crate::frame_decode::push_varint;
use crate::parameters::response_parameters;
use crate::serve::MESSAGE_SIZE;
use hippocamp_grpc_content::HEADER;

/// What stands before each of the `raw_output_contents`, which are the last fields of their message.
const RAW_OUTPUT_CONTENTS: u8 = 6 << 3 | 2;

/// Smaller tensors are copied behind the text: a frame of their own would cost more.
const SMALL: usize = 16 << 10;

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
    pub(crate) fn into_pieces(self) -> std::result::Result<VecDeque<Bytes>, Status> {
        let small: usize = self.raw.iter().map(|data| if data.len() < SMALL { data.len() } else { 0 }).sum();
        // A key and a length take at most six bytes.
        let room = HEADER + self.message.encoded_len() + small + 6 * self.raw.len();
        let mut text = Vec::with_capacity(room);
        text.resize(HEADER, 0);
        if self.message.encode(&mut text).is_err() {
            return Err(Status::internal("failed to encode the reply"));
        }
        let mut ends = SmallVec::<[(usize, HostSegments); 4]>::new();
        let mut large = 0;
        for data in self.raw {
            text.push(RAW_OUTPUT_CONTENTS);
            push_varint(&mut text, data.len() as u64);
            if data.len() < SMALL {
                data.as_slice().iter().for_each(|segment| text.extend_from_slice(segment));
            } else {
                large += data.len();
                ends.push((text.len(), data));
            }
        }
        let length = text.len() - HEADER + large;
        if length > MESSAGE_SIZE {
            return Err(Status::out_of_range(format!(
                "Error, encoded message length too large: found {length} bytes, the limit is: {MESSAGE_SIZE} bytes"
            )));
        }
        // It is no larger than 32 bits have room for.
        text[HEADER - 4..HEADER].copy_from_slice(&(length as u32).to_be_bytes());
        let mut text = Bytes::from(text);
        let (mut pieces, mut begin) = (VecDeque::with_capacity(2 * ends.len() + 1), 0);
        for (end, data) in ends {
            pieces.push_back(text.split_to(end - begin));
            begin = end;
            pieces.extend(data);
        }
        if !text.is_empty() {
            pieces.push_back(text);
        }
        Ok(pieces)
    }
}

#[cfg(test)]
mod tests;
