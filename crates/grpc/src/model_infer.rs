//! The call `ModelInfer`, whose tensors are never copied: it is read and written as its frames.
//!
//! What is unusual about a call goes on to tonic as it came.

use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hippocamp_core::{AccessRecord, Activity};
use hippocamp_grpc_content::{Answers, Assembled, RawTensors, Read, deadline, may_compress, sent};
use hippocamp_net::{RequestBody, keep_until_sent};
use hippocamp_proto::inference::ModelInferRequest;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http;

use crate::compression::CompressionLevel;
use crate::guard;
use crate::infer::{self, Call, Inference};
use crate::status::status;

const PATH: &str = "/inference.GRPCInferenceService/ModelInfer";

/// Answers that call, and passes others on to the service it wraps.
#[derive(Debug)]
pub(crate) struct ModelInfer<S> {
    pub(crate) inference: Inference,
    pub(crate) others: Assembled<S>,
    /// How replies are compressed for clients that take it, which tonic does.
    pub(crate) response_compression: CompressionLevel,
}

impl<S> ModelInfer<S> {
    pub(crate) async fn respond(&self, mut request: http::Request<RequestBody>) -> http::Response<Body>
    where
        S: Answers<RequestBody> + Answers<Read>,
    {
        let compresses = self.response_compression != CompressionLevel::None;
        if compresses {
            let path = request.uri().path().to_owned();
            self.response_compression.choose(&path, request.headers_mut());
        }
        let headers = request.headers();
        if request.uri().path() != PATH || may_compress(headers, compresses) {
            return Box::pin(self.others.respond(request)).await;
        }
        match deadline::timeout(headers) {
            None => self.answer(request, None).await,
            Some(timeout) => deadline::within(timeout, self.answer(request, Some(timeout))).await,
        }
    }

    async fn answer(
        &self,
        request: http::Request<RequestBody>,
        timeout: Option<Duration>,
    ) -> http::Response<Body>
    where
        S: Answers<Read>,
    {
        let (parts, body) = request.into_parts();
        let began = self.inference.server.observed_now();
        let mut read = Read::new(body);
        if let Some((message, raw)) = read.message::<ModelInferTensors>(self.inference.large_copy).await {
            // From here on the frames belong to the tensors.
            drop(read);
            if let Err(denied) = guard::model(&parts.extensions, &message.model_name) {
                return denied.into_http();
            }
            let record = parts.extensions.get::<Arc<AccessRecord>>().cloned();
            let call = Call { headers: parts.headers, record, timeout, began };
            let (answered, observed) = infer::infer(&self.inference, &call, message, raw).await;
            let mut response = match answered {
                Ok(reply) => reply.into_pieces().map_or_else(Status::into_http, sent),
                Err(error) => status(&error).into_http(),
            };
            let sending = observed.sending(Activity::GrpcSendStart, Activity::GrpcSendEnd);
            keep_until_sent(&mut response, sending);
            return response;
        }
        Box::pin(self.others.answer(http::Request::from_parts(parts, read))).await
    }
}

/// The raw tensors of a request.
#[derive(Debug)]
pub(crate) struct ModelInferTensors;

impl RawTensors for ModelInferTensors {
    type Message = ModelInferRequest;

    const FIELD: u64 = 7;
    /// The request's parameters.
    const MAP: Option<u64> = Some(4);

    fn take(message: &mut ModelInferRequest) -> Vec<Bytes> {
        take(&mut message.raw_input_contents)
    }
}
