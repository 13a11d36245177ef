//! The front of a gRPC port: checks the token, and hands a call to its service.

use std::sync::Arc;

use hippocamp_access::{Access, Category, Right};
use hippocamp_grpc_content::{Assembled, MESSAGE_SIZE};
use hippocamp_net::{Front, Network, Refusal, RequestBody};
use hippocamp_services::torchserve_inference::inference_ap_is_service_server::InferenceApIsServiceServer;
use hippocamp_services::torchserve_management::management_ap_is_service_server::ManagementApIsServiceServer;
use hippocamp_torchserve::{TokenKind, TorchServe};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::header::HeaderValue;
use tonic::codegen::http::{Request, Response};

use crate::inference::Inference;
use crate::management::Management;
use crate::status::of_management;

const INFERENCE: &str = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/";
const MANAGEMENT: &str = "/org.pytorch.serve.grpc.management.ManagementAPIsService/";

const PING: &str = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Ping";
const STREAM: &str = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/StreamPredictions2";
const LARGE: [&str; 3] = [
    "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions",
    "/org.pytorch.serve.grpc.inference.InferenceAPIsService/StreamPredictions",
    STREAM,
];

/// Which services a port has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Services {
    /// Predictions and health.
    pub inference: bool,
    /// Registering and describing models.
    pub management: bool,
}

/// Answers the calls of a port. Holds nothing of any connection.
#[derive(Debug)]
pub struct TorchServeGrpcFront {
    torchserve: Arc<TorchServe>,
    /// Who may make which call.
    access: Access,
    inference: Option<Assembled<InferenceApIsServiceServer<Inference>>>,
    management: Option<Assembled<ManagementApIsServiceServer<Management>>>,
}

impl TorchServeGrpcFront {
    /// These services of TorchServe's API, for clients that `access` admits.
    pub fn new(
        torchserve: Arc<TorchServe>,
        services: Services,
        access: Access,
        network: &Network,
    ) -> TorchServeGrpcFront {
        let phase = network.phase();
        let inference = services.inference.then(|| Assembled {
            service: InferenceApIsServiceServer::new(Inference {
                torchserve: Arc::clone(&torchserve),
                access: access.clone(),
                phase,
            })
            .max_decoding_message_size(MESSAGE_SIZE)
            .max_encoding_message_size(MESSAGE_SIZE),
            streams: &[STREAM],
            large: &LARGE,
        });
        let management = services.management.then(|| Assembled {
            service: ManagementApIsServiceServer::new(Management(Arc::clone(&torchserve))),
            streams: &[],
            large: &[],
        });
        TorchServeGrpcFront { torchserve, access, inference, management }
    }
}

impl Front for TorchServeGrpcFront {
    type Body = Body;

    async fn respond(&self, request: Request<RequestBody>) -> Response<Body> {
        let path = request.uri().path();
        let is_inference = path.starts_with(INFERENCE);
        if self.torchserve.wants_tokens() {
            let kind = if is_inference { TokenKind::Inference } else { TokenKind::Management };
            let authorization = request.headers().get("authorization").and_then(|value| value.to_str().ok());
            if let Err(failure) = self.torchserve.check_token(kind, authorization) {
                return of_management(&failure).into_http();
            }
        }
        if !self.access.is_open() && path != PING {
            let headers = request.headers();
            let header = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
            let granted = if is_inference {
                self.access.check(Category::Inference, Right::Infer, header).map(drop)
            } else {
                let grant = self.access.check(Category::ModelRepository, Right::Admin, header);
                grant.and_then(|grant| grant.server())
            };
            if let Err(denial) = granted {
                return Status::permission_denied(denial.to_string()).into_http();
            }
        }
        let is_management = path.starts_with(MANAGEMENT);
        match (&self.inference, &self.management) {
            (Some(inference), _) if is_inference => inference.respond(request).await,
            (_, Some(management)) if is_management => management.respond(request).await,
            _ => Status::unimplemented("").into_http(),
        }
    }

    fn refuse(&self, request: &Request<RequestBody>, why: Refusal) -> Option<Response<Body>> {
        (request.uri().path() != PING).then(|| Status::unavailable(why.to_string()).into_http())
    }
}
