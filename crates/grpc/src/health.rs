//! The health check of gRPC itself, which Kubernetes calls.

use std::sync::Arc;

use hippocamp_core::InferenceServer;
use hippocamp_proto::health::health_check_response::ServingStatus;
use hippocamp_proto::health::{HealthCheckRequest, HealthCheckResponse};
use hippocamp_services::health::health_server::Health;
use tokio_stream::Empty;
use tonic::{Request, Response, Status};

/// Answers whether the server is ready, whatever service is asked for.
#[derive(Clone, Debug)]
pub(crate) struct HealthService {
    pub(crate) server: Arc<InferenceServer>,
}

#[tonic::async_trait]
impl Health for HealthService {
    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let status = if self.server.is_ready() { ServingStatus::Serving } else { ServingStatus::NotServing };
        Ok(Response::new(HealthCheckResponse { status: status.into() }))
    }

    type WatchStream = Empty<Result<HealthCheckResponse, Status>>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented(""))
    }
}
