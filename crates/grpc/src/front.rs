//! The front of the gRPC port: finds the service that answers a call by the call's path.

use std::sync::Arc;

use hippocamp_access::Access;
use hippocamp_net::{Front, Phase, Refusal, RequestBody};
use hippocamp_services::health::health_server::HealthServer;
use hippocamp_services::inference::grpc_inference_service_server::GrpcInferenceServiceServer;
use tokio::sync::watch;
use tonic::Status;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::codegen::http::{Request, Response};

use crate::compression::CompressionLevel;
use crate::health::HealthService;
use crate::infer::Inference;
use crate::model_infer::ModelInfer;
use crate::reflection::Reflection;
use crate::serve::GrpcSettings;
use crate::service::InferenceService;
use crate::{guard, reflection};
use hippocamp_grpc_content::{Assembled, MESSAGE_SIZE};

const INFERENCE: &str = "/inference.GRPCInferenceService/";
const HEALTH: &str = "/grpc.health.v1.Health/";

/// The only call of v2 whose client sends more than one message.
const STREAM: &str = "/inference.GRPCInferenceService/ModelStreamInfer";

/// The calls of v2 with tensors or files.
const LARGE: [&str; 3] = [
    "/inference.GRPCInferenceService/ModelInfer",
    STREAM,
    "/inference.GRPCInferenceService/RepositoryModelLoad",
];

/// Calls that are always answered.
const ALWAYS: [&str; 3] = [
    "/inference.GRPCInferenceService/ServerLive",
    "/inference.GRPCInferenceService/ServerReady",
    "/grpc.health.v1.Health/Check",
];

/// All services of KServe v2.
#[derive(Debug)]
pub struct GrpcFront {
    inference: ModelInfer<GrpcInferenceServiceServer<InferenceService>>,
    health: Assembled<HealthServer<HealthService>>,
    reflection: Option<Reflection>,
    access: Access,
}

impl GrpcFront {
    pub(crate) fn new(calls: Inference, phase: watch::Receiver<Phase>, settings: &GrpcSettings) -> GrpcFront {
        let health = HealthService {
            server: Arc::clone(&calls.server),
            access: settings.access.clone(),
            phase: phase.clone(),
        };
        let reflection =
            settings.reflection.then(|| Reflection::new(settings.mounted_services, phase.clone()));
        let service = InferenceService { inference: calls.clone(), phase };
        let mut inference = GrpcInferenceServiceServer::new(service)
            .max_decoding_message_size(MESSAGE_SIZE)
            .max_encoding_message_size(MESSAGE_SIZE)
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Deflate);
        if settings.response_compression != CompressionLevel::None {
            inference = inference
                .send_compressed(CompressionEncoding::Gzip)
                .send_compressed(CompressionEncoding::Deflate);
        }
        let inference = ModelInfer {
            inference: calls,
            others: Assembled { service: inference, streams: &[STREAM], large: &LARGE },
            response_compression: settings.response_compression,
        };
        GrpcFront {
            inference,
            health: Assembled { service: HealthServer::new(health), streams: &[], large: &[] },
            reflection,
            access: settings.access.clone(),
        }
    }
}

impl Front for GrpcFront {
    type Body = Body;

    async fn respond(&self, mut request: Request<RequestBody>) -> Response<Body> {
        if !self.access.is_open()
            && let Err(denied) = guard::check(&self.access, &mut request)
        {
            return denied.into_http();
        }
        // What is not on the way of an inference is boxed, or the future of every call would be larger by its size.
        let path = request.uri().path();
        if path.starts_with(INFERENCE) {
            self.inference.respond(request).await
        } else if path.starts_with(HEALTH) {
            Box::pin(self.health.respond(request)).await
        } else if path.starts_with(reflection::PREFIX) {
            match &self.reflection {
                Some(reflection) => Box::pin(reflection.respond(request)).await,
                None => Status::unimplemented("").into_http(),
            }
        } else {
            Status::unimplemented("").into_http()
        }
    }

    fn refuse(&self, request: &Request<RequestBody>, why: Refusal) -> Option<Response<Body>> {
        if ALWAYS.contains(&request.uri().path()) {
            return None;
        }
        let text = match why {
            Refusal::Stopping => {
                "GRPC server is shutting down and has stopped accepting new requests.".to_owned()
            }
            why => why.to_string(),
        };
        Some(Status::unavailable(text).into_http())
    }
}
