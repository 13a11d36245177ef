//! The reflection service of gRPC, by which clients such as grpcurl learn of calls and messages without a `.proto` file.
//!
//! `v1` and `v1alpha`, for which older clients ask, have the same messages on the wire, so that one service answers both.

mod descriptors;

use std::sync::Arc;

use hippocamp_grpc_content::Assembled;
use hippocamp_net::{Phase, RequestBody};
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::codegen::http::{self, Uri};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::server_reflection_server::{ServerReflection, ServerReflectionServer};
use tonic_reflection::pb::v1::{
    ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse,
    ServerReflectionRequest, ServerReflectionResponse, ServiceResponse,
};

use descriptors::Descriptors;

/// What the paths of both versions begin with.
pub(crate) const PREFIX: &str = "/grpc.reflection.";

const V1: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const V1_ALPHA: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

/// The services of this port itself.
const SERVICES: [&str; 4] = [
    "inference.GRPCInferenceService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// The calls of both versions.
#[derive(Debug)]
pub(crate) struct Reflection(Assembled<ServerReflectionServer<ReflectionService>>);

impl Reflection {
    /// The reflection of the services of this port, and of `more`, which are mounted on it.
    pub(crate) fn new(more: &[&'static str], phase: watch::Receiver<Phase>) -> Reflection {
        let services = SERVICES.iter().chain(more).copied().collect();
        let service = ReflectionService { services, descriptors: Arc::new(Descriptors::served()), phase };
        Reflection(Assembled { service: ServerReflectionServer::new(service), streams: &[V1], large: &[] })
    }

    /// Answers a call whose path begins with [`PREFIX`].
    pub(crate) async fn respond(&self, mut request: http::Request<RequestBody>) -> http::Response<Body> {
        if request.uri().path() == V1_ALPHA {
            *request.uri_mut() = Uri::from_static(V1);
        }
        self.0.respond(request).await
    }
}

/// Tells which services there are, and how their messages are written.
#[derive(Clone, Debug)]
pub(crate) struct ReflectionService {
    services: Vec<&'static str>,
    descriptors: Arc<Descriptors>,
    /// How far the server is with stopping: an idle call does not hold up the end.
    phase: watch::Receiver<Phase>,
}

type Answer = Result<ServerReflectionResponse, Status>;

impl ReflectionService {
    fn answer(&self, request: ServerReflectionRequest) -> ServerReflectionResponse {
        let file = |file: Option<&Vec<u8>>, what: &str| match file {
            Some(file) => MessageResponse::FileDescriptorResponse(FileDescriptorResponse {
                file_descriptor_proto: vec![file.clone()],
            }),
            None => failed(Code::NotFound, &format!("{what} is not known")),
        };
        let response = match &request.message_request {
            Some(MessageRequest::FileByFilename(name)) => {
                file(self.descriptors.file(name), &format!("file '{name}'"))
            }
            Some(MessageRequest::FileContainingSymbol(name)) => {
                file(self.descriptors.file_of(name), &format!("symbol '{name}'"))
            }
            Some(MessageRequest::FileContainingExtension(extension)) => {
                let text = format!("no extension of '{}' is known", extension.containing_type);
                failed(Code::NotFound, &text)
            }
            Some(MessageRequest::AllExtensionNumbersOfType(name))
                if self.descriptors.file_of(name).is_some() =>
            {
                let base_type_name = name.clone();
                let extension_number = Vec::new();
                let none = ExtensionNumberResponse { base_type_name, extension_number };
                MessageResponse::AllExtensionNumbersResponse(none)
            }
            Some(MessageRequest::AllExtensionNumbersOfType(name)) => {
                failed(Code::NotFound, &format!("type '{name}' is not known"))
            }
            Some(MessageRequest::ListServices(_)) => {
                let named = |name: &&str| ServiceResponse { name: (*name).to_owned() };
                let service = self.services.iter().map(named).collect();
                MessageResponse::ListServicesResponse(ListServiceResponse { service })
            }
            None => failed(Code::InvalidArgument, "a request of reflection is expected to ask for something"),
        };
        ServerReflectionResponse {
            valid_host: request.host.clone(),
            original_request: Some(request),
            message_response: Some(response),
        }
    }

    /// Answers one request after the other, until the client is done or gone, or the server stops.
    async fn answer_all(
        mut self,
        mut requests: Streaming<ServerReflectionRequest>,
        answers: mpsc::Sender<Answer>,
    ) {
        loop {
            let request = tokio::select! {
                request = requests.next() => request,
                () = answers.closed() => return,
                _ = self.phase.wait_for(|phase| *phase != Phase::Serving) => return,
            };
            let answer = match request {
                None => return,
                Some(request) => request.map(|request| self.answer(request)),
            };
            let is_last = answer.is_err();
            if answers.send(answer).await.is_err() || is_last {
                return;
            }
        }
    }
}

/// What is not found is an answer, after which the client may ask for more.
fn failed(code: Code, text: &str) -> MessageResponse {
    MessageResponse::ErrorResponse(ErrorResponse { error_code: code as i32, error_message: text.to_owned() })
}

#[tonic::async_trait]
impl ServerReflection for ReflectionService {
    type ServerReflectionInfoStream = ReceiverStream<Answer>;

    async fn server_reflection_info(
        &self,
        request: Request<Streaming<ServerReflectionRequest>>,
    ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
        let (sender, answers) = mpsc::channel(1);
        tokio::spawn(self.clone().answer_all(request.into_inner(), sender));
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}
