//! Inference: the header from its own header, the tensors from the body, and back.

use std::sync::Arc;

use bytes::Bytes;
use hippocamp_access::Grant;
use hippocamp_backend::{Error, Result};
use hippocamp_core::{Accepted, AccessRecord, Activity, Observed};
use hippocamp_http_content::{MAX_BODY, ResponseBody, Segments, Unread};
use hippocamp_net::{Source, keep_until_sent};
use hippocamp_proto::v1::InferRequestHeader;
use hippocamp_tensor::TensorData;
use hippocamp_v1::{Answer, Encoding};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use prost::Message;
use smallvec::SmallVec;

use crate::front::V1HttpFront;
use crate::response::{self, Format, NV_INFER_REQUEST};
use crate::text;

/// A call of inference, by its path.
#[derive(Debug)]
pub(crate) struct InferCall<'a> {
    pub(crate) model: &'a str,
    pub(crate) version: i64,
    pub(crate) format: Format,
    /// What the client may ask for; an error if it may not make the call at all.
    pub(crate) grant: Result<Grant>,
}

/// Answers a call of inference.
pub(crate) async fn infer<B: Source>(
    front: &V1HttpFront,
    head: &Parts,
    call: InferCall<'_>,
    body: Unread<B>,
) -> Response<ResponseBody> {
    let (headers, number) = (&head.headers, front.v1.number());
    let header = match headers.get(NV_INFER_REQUEST) {
        None => Err(Error::invalid_arg(
            "the header NV-InferRequest is missing: it has the request without its tensors",
        )),
        Some(text) => match text::parse_request(text.as_bytes()) {
            Ok(header) => Ok(header),
            Err(fault) => {
                body.discard().await;
                let reason = format!(
                    "NV-InferRequest is not an InferRequestHeader in protobuf's text format: {fault}\n"
                );
                return response::without_status(StatusCode::BAD_REQUEST, reason);
            }
        },
    };
    let id = header.as_ref().map_or(0, |header| header.id);
    let failed = |error: &Error| response::failed_inference(&front.v1.failure(number, error), id);
    let accepted = async {
        let header = header?;
        hippocamp_v1::check_model(&call.grant?, call.model)?;
        let accepted = front.v1.accept(call.model, call.version).await?;
        let of_client = headers.iter().filter(|(name, _)| **name != NV_INFER_REQUEST);
        let of_client = of_client.map(|(name, value)| (name.as_str(), value.as_bytes()));
        Ok((header, accepted.with_parameters(front.forwarding.parameters(of_client)?)))
    };
    let (header, accepted) = match accepted.await {
        Ok(accepted) => accepted,
        Err(error) => {
            body.discard().await;
            return failed(&error);
        }
    };
    let record = head.extensions.get::<Arc<AccessRecord>>();
    let observed = front.v1.server().observe(call.model, record, |name| headers.get(name)?.to_str().ok());
    let mut response = match run(front, accepted, header, body, &observed).await {
        Ok(answer) => written(front, number, answer, call.format),
        Err(error) => failed(&error),
    };
    keep_until_sent(&mut response, observed.sending(Activity::HttpSendStart, Activity::HttpSendEnd));
    response
}

/// Reads the tensors and executes the request.
async fn run<B: Source>(
    front: &V1HttpFront,
    accepted: Accepted,
    header: InferRequestHeader,
    body: Unread<B>,
    observed: &Observed,
) -> Result<Answer> {
    observed.mark(Activity::HttpRecvStart);
    let refused = |size: Option<u64>| {
        let size = size.map_or_else(String::new, |size| format!(" of {size} bytes"));
        Error::invalid_arg(format!("a request{size} is larger than {MAX_BODY} bytes"))
    };
    let body = Body(body.collect(MAX_BODY, refused).await?);
    observed.mark(Activity::HttpRecvEnd);
    let accepted = accepted.of(observed.origin(None));
    front.v1.infer(accepted, header, body, front.large_copy, observed).await
}

/// The response: the tensors, and behind them the header once more, which has the classes in any case.
fn written(front: &V1HttpFront, number: u64, answer: Answer, format: Format) -> Response<ResponseBody> {
    let Answer { header, raw } = answer;
    let line = response::value(text::response_line(&header));
    let tail = match format {
        Format::Binary => header.encode_to_vec(),
        Format::Text | Format::Json => text::response_text(&header).into_bytes(),
    };
    let mut pieces: SmallVec<[Bytes; 4]> = raw.into_iter().flatten().collect();
    pieces.push(tail.into());
    response::inference(&front.v1.success(number), line, ResponseBody::from_iter(pieces))
}

/// The tensors of a request, one behind the other.
#[derive(Debug)]
struct Body(Segments);

impl Encoding for Body {
    fn take(&mut self, input: &str, size: usize, model: &str) -> Result<TensorData> {
        let missing = size.saturating_sub(self.0.len());
        if missing > 0 {
            return Err(Error::invalid_arg(format!(
                "unexpected size for input '{input}', expecting {missing} bytes for model '{model}'"
            )));
        }
        Ok(self.0.take(size))
    }

    fn end(&self, model: &str) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(Error::invalid_arg(format!("unexpected additional input data for model '{model}'")))
    }

    fn left(&self) -> usize {
        self.0.len()
    }

    fn wrong_shared_size(input: &str, got: u64, expected: u64, model: &str) -> String {
        format!(
            "unexpected shared-memory size {got} for input '{input}', expecting {expected} for model '{model}'"
        )
    }

    fn too_small(_: &str, size: u64, room: u64) -> String {
        format!("expected buffer size to be at least {size} bytes but gets {room} bytes in output tensor")
    }
}
