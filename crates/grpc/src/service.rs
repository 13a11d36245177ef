//! Every call of the inference service, one line each: the work is in the module of its extension.

use std::sync::Arc;

use hippocamp_backend::Error;
use hippocamp_core::Activity;
use hippocamp_net::{Exchange, Phase};
use hippocamp_proto::inference as pb;
use hippocamp_services::inference::grpc_inference_service_server::GrpcInferenceService;
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming};

use crate::encode::Reply;
use crate::infer::{Call, Inference};
use crate::status::status;
use crate::{guard, infer, metadata, repository, settings, shared_memory, statistics, stream};

/// The service over a server.
#[derive(Clone, Debug)]
pub(crate) struct InferenceService {
    pub(crate) inference: Inference,
    /// How far the server is with stopping: streams read no more then.
    pub(crate) phase: watch::Receiver<Phase>,
}

type Answer<T> = Result<Response<T>, Status>;

fn answer<T>(result: Result<T, Error>) -> Answer<T> {
    result.map(Response::new).map_err(|error| status(&error))
}

#[tonic::async_trait]
impl GrpcInferenceService for InferenceService {
    async fn server_live(&self, _: Request<pb::ServerLiveRequest>) -> Answer<pb::ServerLiveResponse> {
        Ok(Response::new(pb::ServerLiveResponse { live: self.inference.server.is_live() }))
    }

    async fn server_ready(&self, _: Request<pb::ServerReadyRequest>) -> Answer<pb::ServerReadyResponse> {
        Ok(Response::new(pb::ServerReadyResponse { ready: self.inference.server.is_ready() }))
    }

    async fn model_ready(&self, r: Request<pb::ModelReadyRequest>) -> Answer<pb::ModelReadyResponse> {
        guard::model(r.extensions(), &r.get_ref().name)?;
        let ready = metadata::model_ready(&self.inference.server, r.get_ref()).await;
        answer(ready.map(|ready| pb::ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        _: Request<pb::ServerMetadataRequest>,
    ) -> Answer<pb::ServerMetadataResponse> {
        Ok(Response::new(metadata::server(&self.inference.server)))
    }

    async fn model_metadata(
        &self,
        r: Request<pb::ModelMetadataRequest>,
    ) -> Answer<pb::ModelMetadataResponse> {
        guard::model(r.extensions(), &r.get_ref().name)?;
        answer(metadata::model(&self.inference.server, r.get_ref()).await)
    }

    async fn model_config(&self, r: Request<pb::ModelConfigRequest>) -> Answer<pb::ModelConfigResponse> {
        guard::model(r.extensions(), &r.get_ref().name)?;
        answer(metadata::config(&self.inference.server, r.get_ref()).await)
    }

    async fn model_infer(&self, r: Request<pb::ModelInferRequest>) -> Answer<pb::ModelInferResponse> {
        guard::model(r.extensions(), &r.get_ref().model_name)?;
        let (metadata, extensions, mut request) = r.into_parts();
        let raw = infer::take_raw(&mut request);
        let call = Call::new(&self.inference, metadata, &extensions);
        let (answered, observed) = infer::infer(&self.inference, &call, request, raw).await;
        let mut reply = answer(answered.and_then(Reply::into_message))?;
        if let Some(sending) = observed.sending(Activity::GrpcSendStart, Activity::GrpcSendEnd) {
            hippocamp_net::keep_in(reply.extensions_mut(), sending);
        }
        Ok(reply)
    }

    type ModelStreamInferStream = stream::Replies;

    async fn model_stream_infer(
        &self,
        r: Request<Streaming<pb::ModelInferRequest>>,
    ) -> Answer<Self::ModelStreamInferStream> {
        let close_on_error = r.metadata().get("triton_grpc_error").is_some_and(|value| value == "true");
        let exchange = r.extensions().get::<Arc<Exchange>>().cloned();
        let (server, phase) = (Arc::clone(&self.inference.server), self.phase.clone());
        let how = stream::Writing { close_on_error, delays: self.inference.delays.clone() };
        let grant = guard::grant(r.extensions());
        let (metadata, extensions, requests) = r.into_parts();
        let client = stream::Client {
            exchange,
            grant,
            call: Call::new(&self.inference, metadata, &extensions),
            forwarding: self.inference.forwarding.clone(),
        };
        Ok(Response::new(stream::infer(server, client, requests, phase, how)))
    }

    async fn model_statistics(
        &self,
        r: Request<pb::ModelStatisticsRequest>,
    ) -> Answer<pb::ModelStatisticsResponse> {
        if !r.get_ref().name.is_empty() {
            guard::model(r.extensions(), &r.get_ref().name)?;
        }
        let grant = guard::grant(r.extensions());
        answer(statistics::statistics(&self.inference.server, r.get_ref(), &grant))
    }

    async fn repository_index(
        &self,
        r: Request<pb::RepositoryIndexRequest>,
    ) -> Answer<pb::RepositoryIndexResponse> {
        let grant = guard::grant(r.extensions());
        answer(repository::index(&self.inference.server, r.get_ref(), grant).await)
    }

    async fn repository_model_load(
        &self,
        mut r: Request<pb::RepositoryModelLoadRequest>,
    ) -> Answer<pb::RepositoryModelLoadResponse> {
        let message = r.get_mut();
        repository::name_of_kserve(&mut message.repository_name, &mut message.model_name);
        guard::model(r.extensions(), &r.get_ref().model_name)?;
        let loaded = repository::load(&self.inference.server, r.into_inner()).await;
        answer(loaded.map(|()| pb::RepositoryModelLoadResponse {}))
    }

    async fn repository_model_unload(
        &self,
        mut r: Request<pb::RepositoryModelUnloadRequest>,
    ) -> Answer<pb::RepositoryModelUnloadResponse> {
        let message = r.get_mut();
        repository::name_of_kserve(&mut message.repository_name, &mut message.model_name);
        guard::model(r.extensions(), &r.get_ref().model_name)?;
        let unloaded = repository::unload(&self.inference.server, r.into_inner()).await;
        answer(unloaded.map(|()| pb::RepositoryModelUnloadResponse {}))
    }

    async fn system_shared_memory_status(
        &self,
        r: Request<pb::SystemSharedMemoryStatusRequest>,
    ) -> Answer<pb::SystemSharedMemoryStatusResponse> {
        answer(shared_memory::status(&self.inference.server, r.get_ref()))
    }

    async fn system_shared_memory_register(
        &self,
        r: Request<pb::SystemSharedMemoryRegisterRequest>,
    ) -> Answer<pb::SystemSharedMemoryRegisterResponse> {
        answer(shared_memory::register(&self.inference.server, r.get_ref()))
    }

    async fn system_shared_memory_unregister(
        &self,
        r: Request<pb::SystemSharedMemoryUnregisterRequest>,
    ) -> Answer<pb::SystemSharedMemoryUnregisterResponse> {
        answer(shared_memory::unregister(&self.inference.server, r.get_ref()))
    }

    async fn cuda_shared_memory_status(
        &self,
        r: Request<pb::CudaSharedMemoryStatusRequest>,
    ) -> Answer<pb::CudaSharedMemoryStatusResponse> {
        answer(shared_memory::cuda_status(&self.inference.server, r.get_ref()))
    }

    async fn cuda_shared_memory_register(
        &self,
        r: Request<pb::CudaSharedMemoryRegisterRequest>,
    ) -> Answer<pb::CudaSharedMemoryRegisterResponse> {
        answer(shared_memory::cuda_register(&self.inference.server, r.get_ref()))
    }

    async fn cuda_shared_memory_unregister(
        &self,
        r: Request<pb::CudaSharedMemoryUnregisterRequest>,
    ) -> Answer<pb::CudaSharedMemoryUnregisterResponse> {
        answer(shared_memory::cuda_unregister(&self.inference.server, r.get_ref()))
    }

    async fn trace_setting(&self, r: Request<pb::TraceSettingRequest>) -> Answer<pb::TraceSettingResponse> {
        let request = r.get_ref();
        guard::setting(r.extensions(), !request.settings.is_empty(), &request.model_name)?;
        answer(settings::trace(&self.inference.server, request).await)
    }

    async fn log_settings(&self, r: Request<pb::LogSettingsRequest>) -> Answer<pb::LogSettingsResponse> {
        guard::setting(r.extensions(), !r.get_ref().settings.is_empty(), "")?;
        answer(settings::log(&self.inference.server, r.get_ref()))
    }
}
