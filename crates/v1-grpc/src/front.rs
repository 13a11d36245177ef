//! The front of the service: checks who calls, and takes `Infer` apart by itself.

use std::sync::Arc;

use hippocamp_access::Access;
use hippocamp_backend::Error;
use hippocamp_core::{AccessRecord, Activity, HeaderForwarding};
use hippocamp_grpc_content::{Assembled, MESSAGE_SIZE, Read, deadline, may_compress, sent};
use hippocamp_net::{Front, Mount, Network, Refusal, RequestBody, keep_until_sent};
use hippocamp_proto::v1::ModelControlResponse;
use hippocamp_services::v1::grpc_service_server::GrpcServiceServer;
use hippocamp_v1::{CallKind, V1};
use smallvec::SmallVec;
use tonic::Status;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::codegen::http::header::HeaderValue;
use tonic::codegen::http::{Request, Response};

use crate::infer::{Call, InferTensors, infer};
use crate::service::{Granted, Service};

/// What the paths of V1 begin with.
const PREFIX: &str = "/nvidia.inferenceserver.GRPCService/";

const INFER: &str = "/nvidia.inferenceserver.GRPCService/Infer";
const STREAM_INFER: &str = "/nvidia.inferenceserver.GRPCService/StreamInfer";

/// Always answered.
const HEALTH: &str = "/nvidia.inferenceserver.GRPCService/Health";

/// Answers the calls of V1. Holds nothing of any connection.
#[derive(Debug)]
pub struct V1GrpcFront {
    v1: Arc<V1>,
    access: Access,
    forwarding: HeaderForwarding,
    calls: Assembled<GrpcServiceServer<Service>>,
    /// The size in bytes above which tensors are copied on another thread.
    large_copy: usize,
}

impl V1GrpcFront {
    /// V1 for clients that `access` admits. `forwarding` says which of their metadata become parameters of the request.
    pub fn new(v1: Arc<V1>, network: &Network, access: Access, forwarding: HeaderForwarding) -> V1GrpcFront {
        let large_copy = network.large_copy();
        let service = Service {
            v1: Arc::clone(&v1),
            phase: network.phase(),
            forwarding: forwarding.clone(),
            large_copy,
        };
        let service = GrpcServiceServer::new(service)
            .max_decoding_message_size(MESSAGE_SIZE)
            .max_encoding_message_size(MESSAGE_SIZE)
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Deflate);
        let calls = Assembled { service, streams: &[STREAM_INFER], large: &[INFER, STREAM_INFER] };
        V1GrpcFront { v1, access, forwarding, calls, large_copy }
    }

    /// This protocol beside another one on the same port.
    pub fn beside<F>(self, others: F) -> Mount<V1GrpcFront, F> {
        Mount { prefix: PREFIX, mounted: self, others }
    }

    /// Leaves what the client may ask for with the call. The reply tells a client that may not make the call; of one for
    /// inference nothing is read then, and this is the reply.
    fn check(&self, request: &mut Request<RequestBody>) -> Option<Response<Body>> {
        let path = request.uri().path();
        let (kind, infers) = (kind(path), matches!(path, INFER | STREAM_INFER));
        let headers = request.headers();
        let grant =
            hippocamp_v1::check(&self.access, kind, |name| headers.get(name).map(HeaderValue::as_bytes));
        let denied = match &grant {
            Err(error) if infers => Some(self.failed(error)),
            _ => None,
        };
        request.extensions_mut().insert(Granted(grant.map_err(Arc::new)));
        denied
    }

    /// The reply of a call that failed before its message was read.
    fn failed(&self, error: &Error) -> Response<Body> {
        // The first field of every reply is the status, so that the smallest message of all serves for each call.
        let status = self.v1.failure(self.v1.number(), error);
        let reply = ModelControlResponse { request_status: Some(status) };
        hippocamp_grpc_content::pieces(&reply, 0, SmallVec::new()).map_or_else(Status::into_http, sent)
    }

    async fn infer(&self, request: Request<RequestBody>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let began = self.v1.server().observed_now();
        let mut read = Read::new(body);
        if let Some((message, raw)) = read.message::<InferTensors>(self.large_copy).await {
            // From here on the frames belong to the tensors.
            drop(read);
            let grant = Granted::of(&parts.extensions);
            let record = parts.extensions.get::<Arc<AccessRecord>>().cloned();
            let call = Call { grant, headers: parts.headers, record, began };
            let (reply, observed) =
                infer(&self.v1, &call, &self.forwarding, message, raw, self.large_copy).await;
            let mut response = reply.into_pieces(&self.v1).map_or_else(Status::into_http, sent);
            let sending = observed.sending(Activity::GrpcSendStart, Activity::GrpcSendEnd);
            keep_until_sent(&mut response, sending);
            return response;
        }
        self.calls.answer(Request::from_parts(parts, read)).await
    }
}

/// The kind of a call; `None` for inference.
fn kind(path: &str) -> Option<CallKind> {
    match path.strip_prefix(PREFIX)? {
        "Status" => Some(CallKind::Status),
        "Health" => Some(CallKind::Health),
        "ModelControl" => Some(CallKind::ModelControl),
        "SharedMemoryControl" => Some(CallKind::SharedMemoryControl),
        "Repository" => Some(CallKind::Repository),
        _ => None,
    }
}

impl Front for V1GrpcFront {
    type Body = Body;

    async fn respond(&self, mut request: Request<RequestBody>) -> Response<Body> {
        if !self.access.is_open()
            && let Some(denied) = self.check(&mut request)
        {
            return denied;
        }
        let headers = request.headers();
        if request.uri().path() != INFER || may_compress(headers, false) {
            return self.calls.respond(request).await;
        }
        match deadline::timeout(headers) {
            None => self.infer(request).await,
            Some(timeout) => deadline::within(timeout, self.infer(request)).await,
        }
    }

    fn refuse(&self, request: &Request<RequestBody>, why: Refusal) -> Option<Response<Body>> {
        let path = request.uri().path();
        if path == HEALTH {
            return None;
        }
        let error = hippocamp_v1::refusal(why);
        if path == STREAM_INFER {
            return Some(Status::unavailable(error.message()).into_http());
        }
        Some(self.failed(&error))
    }
}

#[cfg(test)]
mod tests {
    use hippocamp_proto::v1::{InferResponse, RequestStatus, StatusResponse};
    use prost::Message;

    use super::*;

    #[test]
    fn one_message_serves_for_the_refusal_of_each_call() {
        let status = RequestStatus { msg: "Server not ready".to_owned(), ..RequestStatus::default() };
        let message = ModelControlResponse { request_status: Some(status.clone()) }.encode_to_vec();
        let expected = Some(status);
        assert_eq!(InferResponse::decode(&*message).unwrap().request_status, expected);
        assert_eq!(StatusResponse::decode(&*message).unwrap().request_status, expected);
    }
}
