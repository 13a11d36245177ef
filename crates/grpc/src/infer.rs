//! `ModelInfer`: one request, one response.

use std::sync::Arc;
use std::time::Instant;

use hippocamp_backend::{Error, ResponseReceiver, Result};
use hippocamp_core::{InferRequest, InferenceServer, LoadedModel};
use hippocamp_net::Charge;
use hippocamp_proto::inference::ModelInferRequest;
use hippocamp_tensor::TensorData;
use tokio::sync::OwnedSemaphorePermit;

use crate::decode::{self, Message, ReplyOptions};
use crate::delays::{Delays, hold};
use crate::encode::Reply;
use crate::parameters::request_parameters;
use crate::{encode, status};

/// A request that was accepted and queued.
pub(crate) struct Running {
    pub(crate) model: Arc<LoadedModel>,
    pub(crate) id: String,
    pub(crate) options: ReplyOptions,
    pub(crate) empty_final_response: bool,
    pub(crate) responses: ResponseReceiver,
    /// What a stream holds for it.
    pub(crate) held: Option<(Charge, OwnedSemaphorePermit)>,
}

/// Answers one request, whose raw tensors are in `raw`. Dropping the future cancels it, at once unless a test wants it
/// later.
pub(crate) async fn infer(
    server: &Arc<InferenceServer>,
    delays: &Delays,
    request: ModelInferRequest,
    raw: Vec<TensorData>,
) -> Result<Reply> {
    let Some(held) = delays else { return execute(server, delays, request, raw).await };
    let (server, delays) = (Arc::clone(server), delays.clone());
    let call = async move { execute(&server, &delays, request, raw).await };
    Box::pin(held.cancel_late(call)).await
}

async fn execute(
    server: &InferenceServer,
    delays: &Delays,
    request: ModelInferRequest,
    raw: Vec<TensorData>,
) -> Result<Reply> {
    hold(delays, |delays| delays.process).await;
    let arrived = Instant::now();
    let model = find(server, &request).await?;
    if model.interface.decoupled {
        return Err(Error::unsupported(
            "ModelInfer RPC doesn't support models with decoupled transaction policy",
        ));
    }
    let mut running = start(server, model, request, raw, arrived, LoadedModel::infer_and_wait)?;
    let response = running.responses.only().await;
    hold(delays, |delays| delays.response_completion).await;
    let response = response?;
    encode::reply(&running.model, running.id, &mut running.options, response)
}

/// The model and version that a request names; [`start`] looks again for one that goes on with a sequence. Waits only for a
/// model that stands by.
pub(crate) async fn find(server: &InferenceServer, request: &ModelInferRequest) -> Result<Arc<LoadedModel>> {
    server.demand_or_draining(&request.model_name, status::version(&request.model_version)?).await
}

/// Takes the raw tensors out of a message that was decoded in one piece.
pub(crate) fn take_raw(request: &mut ModelInferRequest) -> Vec<TensorData> {
    std::mem::take(&mut request.raw_input_contents).into_iter().map(TensorData::from).collect()
}

/// How a request that was decoded is handed to its model.
pub(crate) type Infer = fn(&LoadedModel, InferRequest<'_>) -> Result<ResponseReceiver>;

/// Checks a request and queues it. `raw` are its raw tensors, wherever they are.
pub(crate) fn start(
    server: &InferenceServer,
    model: Arc<LoadedModel>,
    request: ModelInferRequest,
    raw: Vec<TensorData>,
    arrived: Instant,
    how: Infer,
) -> Result<Running> {
    let parameters = request_parameters(request.parameters)?;
    let version = status::version(&request.model_version)?;
    let model = server.in_sequence(model, version, parameters.sequence.as_ref())?;
    let empty_final_response = parameters.empty_final_response;
    let message =
        Message { id: &request.id, inputs: &request.inputs, outputs: &request.outputs, raw, arrived };
    let (infer, options) = decode::request(server.shared_memory(), &model, message, parameters)?;
    let responses = how(&model, infer)?;
    Ok(Running { model, id: request.id, options, empty_final_response, responses, held: None })
}
