//! Management.

use std::sync::Arc;

use hippocamp_proto::torchserve::management::{
    DescribeModelRequest, ListModelsRequest, ManagementResponse, RegisterModelRequest, ScaleWorkerRequest,
    SetDefaultRequest, UnregisterModelRequest,
};
use hippocamp_services::torchserve_management::management_ap_is_service_server::ManagementApIsService;
use hippocamp_torchserve::{Failure, RegisterRequest, Scale, TorchServe};
use tonic::{Request, Response, Status};

use crate::status::of_management;

/// The service.
#[derive(Clone, Debug)]
pub(crate) struct Management(pub(crate) Arc<TorchServe>);

type Answer = Result<Response<ManagementResponse>, Status>;

fn answer(msg: Result<String, Failure>) -> Answer {
    let msg = msg.map_err(|failure| of_management(&failure))?;
    Ok(Response::new(ManagementResponse { msg }))
}

fn filled(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// A number that was given: one that was left out is 0.
fn given(number: i32) -> Option<u32> {
    u32::try_from(number).ok().filter(|&number| number > 0)
}

impl Management {
    fn allowed(&self) -> Result<(), Status> {
        if self.0.has_model_api() {
            return Ok(());
        }
        Err(Status::permission_denied("Model API disabled"))
    }
}

#[tonic::async_trait]
impl ManagementApIsService for Management {
    async fn describe_model(&self, request: Request<DescribeModelRequest>) -> Answer {
        let DescribeModelRequest { model_name, model_version, .. } = request.into_inner();
        answer(self.0.describe(&model_name, filled(model_version).as_deref()).await)
    }

    async fn list_models(&self, request: Request<ListModelsRequest>) -> Answer {
        let ListModelsRequest { limit, next_page_token } = request.into_inner();
        let offset = usize::try_from(next_page_token).unwrap_or(0);
        answer(Ok(self.0.list(Some(limit.into()), offset).await))
    }

    async fn register_model(&self, request: Request<RegisterModelRequest>) -> Answer {
        self.allowed()?;
        let request = request.into_inner();
        let request = RegisterRequest {
            url: request.url,
            model_name: filled(request.model_name),
            handler: filled(request.handler),
            batch_size: given(request.batch_size),
            max_batch_delay: given(request.max_batch_delay),
            initial_workers: given(request.initial_workers),
            runtime: filled(request.runtime),
            synchronous: request.synchronous,
        };
        answer(self.0.register(request).await.map(|done| done.message))
    }

    async fn scale_worker(&self, request: Request<ScaleWorkerRequest>) -> Answer {
        let request = request.into_inner();
        let min_worker = u32::try_from(request.min_worker).map_err(|_| {
            let given = request.min_worker;
            Status::invalid_argument(format!("min_worker was expected to be at least 0, got {given}"))
        })?;
        let scale = Scale {
            name: request.model_name,
            version: filled(request.model_version),
            min_worker,
            max_worker: given(request.max_worker),
            synchronous: request.synchronous,
        };
        answer(self.0.scale(scale).await.map(|done| done.message))
    }

    async fn set_default(&self, request: Request<SetDefaultRequest>) -> Answer {
        let SetDefaultRequest { model_name, model_version } = request.into_inner();
        answer(self.0.set_default(&model_name, &model_version).await)
    }

    async fn unregister_model(&self, request: Request<UnregisterModelRequest>) -> Answer {
        self.allowed()?;
        let UnregisterModelRequest { model_name, model_version } = request.into_inner();
        answer(self.0.unregister(&model_name, filled(model_version).as_deref()).await)
    }
}
