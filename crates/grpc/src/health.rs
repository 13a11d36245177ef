//! The health service of gRPC itself, which Kubernetes and load balancers call.

use std::sync::Arc;
use std::time::Duration;

use hippocamp_access::{Access, Category, Right};
use hippocamp_core::InferenceServer;
use hippocamp_net::Phase;
use hippocamp_proto::health::health_check_response::ServingStatus;
use hippocamp_proto::health::{HealthCheckRequest, HealthCheckResponse};
use hippocamp_services::health::health_server::Health;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::http::HeaderValue;
use tonic::{Request, Response, Status};

/// How often a watched status is looked at. Readiness depends on much that changes without a word, so that it is asked for.
const LOOK: Duration = Duration::from_millis(100);

/// Answers whether the server is ready, whatever service is asked for, as Triton does; but the name of a model that is known
/// asks for the readiness of that model.
#[derive(Clone, Debug)]
pub(crate) struct HealthService {
    pub(crate) server: Arc<InferenceServer>,
    pub(crate) access: Access,
    /// How far the server is with stopping: nothing is watched any longer then.
    pub(crate) phase: watch::Receiver<Phase>,
}

impl HealthService {
    /// The name of the model that is asked for, if the client may know of models at all: otherwise it gets the status of the
    /// server, as for any name.
    fn model(&self, request: &Request<HealthCheckRequest>) -> Option<String> {
        let name = &request.get_ref().service;
        let headers = request.metadata().as_ref();
        let header = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
        let may_know = || {
            let grant = self.access.check(Category::Health, Right::See, header);
            grant.is_ok_and(|grant| grant.model(name).is_ok())
        };
        (!name.is_empty() && may_know()).then(|| name.clone())
    }

    async fn status(&self, model: Option<&str>) -> ServingStatus {
        let of_model = match model {
            Some(name) => self.server.known_model_ready(name).await,
            None => None,
        };
        if of_model.unwrap_or_else(|| self.server.is_ready()) {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        }
    }

    /// Sends the status now, and whenever it is another one. Ends when the client is gone, or with the server.
    async fn tell(mut self, model: Option<String>, to: mpsc::Sender<Told>) {
        let mut last = None;
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_stopping = tokio::select! {
                _ = looks.tick() => false,
                () = to.closed() => return,
                _ = self.phase.wait_for(|phase| *phase != Phase::Serving) => true,
            };
            let status =
                if is_stopping { ServingStatus::NotServing } else { self.status(model.as_deref()).await };
            if last != Some(status) && to.send(Ok(told(status))).await.is_err() {
                return;
            }
            if is_stopping {
                return;
            }
            last = Some(status);
        }
    }
}

type Told = Result<HealthCheckResponse, Status>;

fn told(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl Health for HealthService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let model = self.model(&request);
        Ok(Response::new(told(self.status(model.as_deref()).await)))
    }

    type WatchStream = ReceiverStream<Told>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let model = self.model(&request);
        let (to, told) = mpsc::channel(1);
        tokio::spawn(self.clone().tell(model, to));
        Ok(Response::new(ReceiverStream::new(told)))
    }
}
