//! `Infer`: one request, one response.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;
use std::vec::IntoIter;

use bytes::Bytes;
use hippocamp_access::Grant;
use hippocamp_backend::{Error, Result};
use hippocamp_core::{Accepted, AccessRecord, Activity, HeaderForwarding, Observed};
use hippocamp_grpc_content::{MESSAGE_SIZE, RawTensors, deadline, metadata, pieces};
use hippocamp_proto::v1::{InferRequest, InferResponse, InferResponseHeader};
use hippocamp_tensor::{HostSegments, TensorData};
use hippocamp_v1::{Answer, Encoding, V1};
use prost::Message;
use prost::encoding::encoded_len_varint;
use smallvec::SmallVec;
use tonic::codegen::http::HeaderMap;
use tonic::{Extensions, Status};

use crate::service::Granted;

/// The number of the field `raw_output`.
const RAW_OUTPUT: u8 = 3;

/// What is known of a call beside its messages.
#[derive(Debug)]
pub(crate) struct Call {
    /// What the client may ask for; an error if it may not make the call at all.
    pub(crate) grant: Result<Grant>,
    pub(crate) headers: HeaderMap,
    /// Its line in the access log, if there is such a log.
    pub(crate) record: Option<Arc<AccessRecord>>,
    /// When it began, or when the next request of a stream was waited for, if requests may be observed.
    pub(crate) began: Option<Instant>,
}

impl Call {
    /// A call that begins now.
    pub(crate) fn new(v1: &V1, extensions: &Extensions, headers: HeaderMap) -> Call {
        let record = extensions.get::<Arc<AccessRecord>>().cloned();
        Call { grant: Granted::of(extensions), headers, record, began: v1.server().observed_now() }
    }

    /// Checks whether the client may ask for this model.
    pub(crate) fn check_model(&self, model: &str) -> Result<()> {
        match &self.grant {
            Ok(grant) => hippocamp_v1::check_model(grant, model),
            Err(error) => Err(Error::new(error.code(), error.message().to_owned())),
        }
    }

    /// Begins to observe a request of the call, which was read just now.
    pub(crate) fn observe(&self, v1: &V1, model: &str) -> Observed {
        self.observe_as(v1, model, self.record.as_ref())
    }

    /// The same for one of several requests of the call, of so many bytes, which gets a line of its own.
    pub(crate) fn observe_message(&self, v1: &V1, model: &str, bytes: usize) -> Observed {
        let record = self.record.as_ref().map(|record| record.message(bytes));
        self.observe_as(v1, model, record.as_ref())
    }

    fn observe_as(&self, v1: &V1, model: &str, record: Option<&Arc<AccessRecord>>) -> Observed {
        let observed = v1.server().observe(model, record, |name| self.headers.get(name)?.to_str().ok());
        observed.mark_at(Activity::GrpcWaitreadStart, self.began);
        observed.mark(Activity::GrpcWaitreadEnd);
        observed
    }

    /// When the client stops waiting, if it said so.
    pub(crate) fn deadline(&self, began: Instant) -> Option<Instant> {
        deadline::timeout(&self.headers).and_then(|timeout| began.checked_add(timeout))
    }
}

/// Answers one request, whose tensors are in `raw`. `forwarding` says which metadata become its parameters, `large` is the size
/// in bytes above which tensors are copied on another thread. Dropping the future cancels the request.
pub(crate) async fn infer(
    v1: &Arc<V1>,
    call: &Call,
    forwarding: &HeaderForwarding,
    message: InferRequest,
    raw: Vec<TensorData>,
    large: usize,
) -> (Reply, Observed) {
    let number = v1.number();
    let InferRequest { model_name, model_version, meta_data, .. } = message;
    let header = meta_data.unwrap_or_default();
    let id = header.id;
    let accepted = match accept(v1, call, forwarding, &model_name, model_version).await {
        Ok(accepted) => accepted,
        Err(error) => return (Reply::new(v1, number, id, Err(error)), Observed::default()),
    };
    let observed = call.observe(v1, &model_name);
    let accepted = accepted.of(observed.origin(call.deadline(Instant::now())));
    let answer = v1.infer(accepted, header, RawInputs::new(raw), large, &observed).await;
    (Reply::new(v1, number, id, answer), observed)
}

/// Finds the model that a request names, if its client may ask for it.
pub(crate) async fn accept(
    v1: &V1,
    call: &Call,
    forwarding: &HeaderForwarding,
    model: &str,
    version: i64,
) -> Result<Accepted> {
    call.check_model(model)?;
    let accepted = v1.accept(model, version).await?;
    Ok(accepted.with_parameters(forwarding.parameters(metadata(&call.headers))?))
}

/// A reply whose tensors are still where the model left them.
#[derive(Debug)]
pub(crate) struct Reply {
    /// All but the raw tensors.
    message: InferResponse,
    number: u64,
    raw: SmallVec<[HostSegments; 4]>,
}

impl Reply {
    /// The reply to the request with this number, to which the client has given this id.
    pub(crate) fn new(v1: &V1, number: u64, id: u64, answer: Result<Answer>) -> Reply {
        let (status, header, raw) = match answer {
            Ok(Answer { header, raw }) => (v1.success(number), header, raw),
            Err(error) => {
                let header = InferResponseHeader { id, ..InferResponseHeader::default() };
                (v1.failure(number, &error), header, SmallVec::new())
            }
        };
        let message =
            InferResponse { request_status: Some(status), meta_data: Some(header), raw_output: Vec::new() };
        Reply { message, number, raw }
    }

    /// The reply, or the error that takes its place if it is larger than a message can be.
    fn within_limit(self, v1: &V1) -> Reply {
        let raw = self.raw.iter().map(|data| 1 + encoded_len_varint(data.len() as u64) + data.len());
        let size = self.message.encoded_len() + raw.sum::<usize>();
        if size <= MESSAGE_SIZE {
            return self;
        }
        let error = Error::invalid_arg(format!(
            "Response has byte size {size} which exceeds gRPC's byte size limit {MESSAGE_SIZE}."
        ));
        let id = self.message.meta_data.map_or(0, |header| header.id);
        Reply::new(v1, self.number, id, Err(error))
    }

    /// The encoded message behind its header, in pieces. Copies no large tensor.
    pub(crate) fn into_pieces(self, v1: &V1) -> std::result::Result<VecDeque<Bytes>, Status> {
        let Reply { message, raw, .. } = self.within_limit(v1);
        pieces(&message, RAW_OUTPUT, raw)
    }

    /// The message as a whole, for where it is a part of another one. Copies tensors that lie in several pieces.
    pub(crate) fn into_message(self, v1: &V1) -> InferResponse {
        let Reply { message, number, raw } = self.within_limit(v1);
        let joined: std::result::Result<Vec<Bytes>, _> = raw.iter().map(HostSegments::join).collect();
        match joined {
            Ok(raw_output) => InferResponse { raw_output, ..message },
            Err(error) => {
                let id = message.meta_data.map_or(0, |header| header.id);
                Reply::new(v1, number, id, Err(error.into())).message
            }
        }
    }
}

/// The raw tensors of a request, in the message.
#[derive(Debug)]
pub(crate) struct InferTensors;

impl RawTensors for InferTensors {
    type Message = InferRequest;

    const FIELD: u64 = 4;
    const MAP: Option<u64> = None;

    fn take(message: &mut InferRequest) -> Vec<Bytes> {
        std::mem::take(&mut message.raw_input)
    }
}

/// The raw tensors of a request, one for each input that is not in shared memory.
#[derive(Debug)]
pub(crate) struct RawInputs {
    left: IntoIter<TensorData>,
    given: usize,
}

impl RawInputs {
    pub(crate) fn new(raw: Vec<TensorData>) -> RawInputs {
        RawInputs { given: raw.len(), left: raw.into_iter() }
    }
}

impl Encoding for RawInputs {
    fn take(&mut self, input: &str, size: usize, model: &str) -> Result<TensorData> {
        let given = self.given;
        let Some(data) = self.left.next() else {
            return Err(Error::invalid_arg(format!(
                "expected tensor data for at least {} inputs but got only {given} sets of data for model '{model}'",
                given + 1
            )));
        };
        let got = data.len();
        if got != size {
            return Err(Error::invalid_arg(format!(
                "unexpected size {got} for input '{input}', expecting {size} for model '{model}'"
            )));
        }
        Ok(data)
    }

    fn end(&self, model: &str) -> Result<()> {
        if self.left.as_slice().is_empty() {
            return Ok(());
        }
        Err(Error::invalid_arg(format!("unexpected additional input data for model '{model}'")))
    }

    fn left(&self) -> usize {
        self.left.as_slice().iter().map(TensorData::len).sum()
    }

    fn wrong_shared_size(input: &str, got: u64, expected: u64, model: &str) -> String {
        format!("unexpected size {got} for input '{input}', expecting {expected} for model '{model}'")
    }

    fn too_small(output: &str, size: u64, room: u64) -> String {
        // Without a blank: clients know this text.
        format!(
            "for output {output} expected requested buffer size to be at least{size} bytes but got {room} in actual request"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_taken_one_by_one() {
        let tensors = |sizes: &[usize]| {
            sizes.iter().map(|&size| Bytes::from(vec![0; size]).into()).collect::<Vec<TensorData>>()
        };
        let mut raw = RawInputs::new(tensors(&[4, 8]));
        assert_eq!(raw.left(), 12);
        assert_eq!(raw.take("A", 4, "m").unwrap().len(), 4);
        assert_eq!(raw.end("m").unwrap_err().message(), "unexpected additional input data for model 'm'");
        assert_eq!(
            raw.take("B", 4, "m").unwrap_err().message(),
            "unexpected size 8 for input 'B', expecting 4 for model 'm'"
        );
        assert_eq!(
            raw.take("C", 4, "m").unwrap_err().message(),
            "expected tensor data for at least 3 inputs but got only 2 sets of data for model 'm'"
        );
        assert!(raw.end("m").is_ok());
    }
}
