//! `ModelInfer`: one request, one response.

use std::sync::Arc;
use std::time::Instant;

use hippocamp_backend::{Error, ResponseReceiver, Result};
use hippocamp_core::{InferRequest, InferenceServer, LoadedModel};
use hippocamp_proto::inference::{ModelInferRequest, ModelInferResponse};

use crate::decode::{self, Message, ReplyOptions};
use crate::parameters::request_parameters;
use crate::{encode, status};

/// A request that was accepted and queued.
pub(crate) struct Running {
    pub(crate) model: Arc<LoadedModel>,
    pub(crate) id: String,
    pub(crate) options: ReplyOptions,
    pub(crate) empty_final_response: bool,
    pub(crate) responses: ResponseReceiver,
}

/// Answers one request. Dropping the future cancels it.
pub(crate) async fn infer(
    server: &InferenceServer,
    request: ModelInferRequest,
) -> Result<ModelInferResponse> {
    let arrived = Instant::now();
    let model = find(server, &request)?;
    if model.interface.decoupled {
        return Err(Error::unsupported(
            "ModelInfer RPC doesn't support models with decoupled transaction policy",
        ));
    }
    let running = start(server, model, request, arrived, LoadedModel::infer_and_wait)?;
    let response = running.responses.only().await?;
    encode::reply(&running.model, running.id, &running.options, response)
}

/// The model and version that a request names.
pub(crate) fn find(server: &InferenceServer, request: &ModelInferRequest) -> Result<Arc<LoadedModel>> {
    server.model(&request.model_name, status::version(&request.model_version)?)
}

/// How a request that was decoded is handed to its model.
pub(crate) type Infer = fn(&LoadedModel, InferRequest<'_>) -> Result<ResponseReceiver>;

/// Checks a request and queues it.
pub(crate) fn start(
    server: &InferenceServer,
    model: Arc<LoadedModel>,
    request: ModelInferRequest,
    arrived: Instant,
    how: Infer,
) -> Result<Running> {
    let parameters = request_parameters(request.parameters)?;
    let empty_final_response = parameters.empty_final_response;
    let message = Message {
        id: &request.id,
        inputs: &request.inputs,
        outputs: &request.outputs,
        raw: request.raw_input_contents,
        arrived,
    };
    let (infer, options) = decode::request(server.shared_memory(), &model, message, parameters)?;
    let responses = how(&model, infer)?;
    Ok(Running { model, id: request.id, options, empty_final_response, responses })
}
