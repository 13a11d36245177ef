//! Every call of the service, a few lines each: the work is in `hippocamp-v1`.

use std::sync::Arc;

use hippocamp_access::Grant;
use hippocamp_backend::{Code, Error, Result};
use hippocamp_core::{Activity, HeaderForwarding};
use hippocamp_net::{Exchange, Phase, keep_in};
use hippocamp_proto::v1 as pb;
use hippocamp_services::v1::grpc_service_server::GrpcService;
use hippocamp_tensor::TensorData;
use hippocamp_v1::{CallKind, V1};
use pb::model_control_request::Type;
use pb::repository_request::RequestType;
use pb::repository_response::ResponseType;
use tokio::sync::watch;
use tonic::{Extensions, Request, Response, Status, Streaming};

use crate::infer::{Call, infer};
use crate::shared_memory;
use crate::stream::{self, Replies};

/// What the client of a call may ask for; an error if it may not make the call at all.
#[derive(Clone, Debug)]
pub(crate) struct Granted(pub(crate) Result<Grant, Arc<Error>>);

impl Granted {
    /// What was left with a call. Everything, if nothing was: then nobody was asked.
    pub(crate) fn of(extensions: &Extensions) -> Result<Grant> {
        match extensions.get::<Granted>() {
            None => Ok(Grant::all()),
            Some(Granted(Ok(grant))) => Ok(grant.clone()),
            Some(Granted(Err(error))) => Err(Error::new(error.code(), error.message().to_owned())),
        }
    }
}

/// The service.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) v1: Arc<V1>,
    /// How far the server is with stopping: streams read no more then.
    pub(crate) phase: watch::Receiver<Phase>,
    /// Which metadata become parameters of requests.
    pub(crate) forwarding: HeaderForwarding,
    /// The size in bytes above which tensors are copied on another thread.
    pub(crate) large_copy: usize,
}

impl Service {
    fn call<T>(&self, request: &Request<T>) -> Call {
        Call::new(&self.v1, request.extensions(), request.metadata().clone().into_headers())
    }
}

type Answer<T> = std::result::Result<Response<T>, Status>;

#[tonic::async_trait]
impl GrpcService for Service {
    async fn status(&self, r: Request<pb::StatusRequest>) -> Answer<pb::StatusResponse> {
        let call = self.v1.begin(CallKind::Status);
        let status = match Granted::of(r.extensions()) {
            Ok(grant) => self.v1.server_status(&r.get_ref().model_name, &grant).await,
            Err(error) => Err(error),
        };
        let request_status = Some(call.end(&status));
        Ok(Response::new(pb::StatusResponse { request_status, server_status: status.ok() }))
    }

    async fn health(&self, r: Request<pb::HealthRequest>) -> Answer<pb::HealthResponse> {
        let call = self.v1.begin(CallKind::Health);
        let health = Granted::of(r.extensions()).and_then(|_| self.v1.health(&r.get_ref().mode));
        let request_status = Some(call.end(&health));
        Ok(Response::new(pb::HealthResponse { request_status, health: health.unwrap_or(false) }))
    }

    async fn infer(&self, r: Request<pb::InferRequest>) -> Answer<pb::InferResponse> {
        let call = self.call(&r);
        let mut message = r.into_inner();
        let raw = std::mem::take(&mut message.raw_input).into_iter().map(TensorData::from).collect();
        let (reply, observed) = infer(&self.v1, &call, &self.forwarding, message, raw, self.large_copy).await;
        let mut response = Response::new(reply.into_message(&self.v1));
        if let Some(sending) = observed.sending(Activity::GrpcSendStart, Activity::GrpcSendEnd) {
            keep_in(response.extensions_mut(), sending);
        }
        Ok(response)
    }

    type StreamInferStream = Replies;

    async fn stream_infer(&self, r: Request<Streaming<pb::InferRequest>>) -> Answer<Replies> {
        let exchange = r.extensions().get::<Arc<Exchange>>().cloned();
        let call = self.call(&r);
        Ok(Response::new(stream::infer(self, exchange, call, r.into_inner())))
    }

    async fn model_control(&self, r: Request<pb::ModelControlRequest>) -> Answer<pb::ModelControlResponse> {
        let call = self.v1.begin(CallKind::ModelControl);
        let (extensions, message) = (r.extensions(), r.get_ref());
        let done = match (Granted::of(extensions), Type::try_from(message.r#type)) {
            (Err(error), _) => Err(error),
            (Ok(grant), Ok(Type::Load)) => self.v1.load(&message.model_name, &grant).await,
            (Ok(grant), Ok(Type::Unload)) => self.v1.unload(&message.model_name, &grant).await,
            // The message would give it as an unload.
            (Ok(_), Err(_)) => Err(Error::invalid_arg(format!(
                "model '{}' can be loaded, by type 1, or unloaded, by 0, got type {}",
                message.model_name, message.r#type
            ))),
        };
        Ok(Response::new(pb::ModelControlResponse { request_status: Some(call.end(&done)) }))
    }

    async fn shared_memory_control(
        &self,
        r: Request<pb::SharedMemoryControlRequest>,
    ) -> Answer<pb::SharedMemoryControlResponse> {
        let call = self.v1.begin(CallKind::SharedMemoryControl);
        let granted = Granted::of(r.extensions());
        let done = granted.and_then(|_| shared_memory::control(&self.v1, r.into_inner()));
        let request_status = Some(call.end(&done));
        let shared_memory_control = done.unwrap_or(None);
        Ok(Response::new(pb::SharedMemoryControlResponse { request_status, shared_memory_control }))
    }

    async fn repository(&self, r: Request<pb::RepositoryRequest>) -> Answer<pb::RepositoryResponse> {
        let call = self.v1.begin(CallKind::Repository);
        let index = match (Granted::of(r.extensions()), &r.get_ref().request_type) {
            (Err(error), _) => Err(error),
            (Ok(_), None) => Err(Error::new(Code::Unknown, "request type is not specified")),
            (Ok(grant), Some(RequestType::Index(_))) => self.v1.repository_index(&grant).await,
        };
        let request_status = Some(call.end(&index));
        // Clients want one of the kinds, even where there is an error.
        let response_type = Some(ResponseType::Index(index.unwrap_or_default()));
        Ok(Response::new(pb::RepositoryResponse { request_status, response_type }))
    }
}
