//! `ModelInfer`: one request, one response.

use std::sync::Arc;
use std::time::Instant;

use hippocamp_backend::Result;
use hippocamp_core::{Accepted, InferenceServer, Responses, Running, Then};
use hippocamp_proto::inference::ModelInferRequest;
use hippocamp_tensor::TensorData;

use crate::decode::Message;
use crate::delays::{Delays, hold};
use crate::encode::Reply;
use crate::parameters::request_parameters;
use crate::{encode, status};

/// A request that its model has, and what its replies say of it.
pub(crate) struct Submitted {
    pub(crate) id: String,
    pub(crate) empty_final_response: bool,
    pub(crate) running: Running,
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
    let accepted = accept(server, &request, ONE).await?;
    let Submitted { id, running, .. } = submit(server, accepted, request, raw, arrived, Then::Wait)?;
    let Running { model, responses, mut outputs } = running;
    let response = responses.only().await;
    hold(delays, |delays| delays.response_completion).await;
    encode::reply(&model, id, &mut outputs, response?)
}

const ONE: Responses =
    Responses::One { refusal: "ModelInfer RPC doesn't support models with decoupled transaction policy" };

/// Finds the model that a request names.
pub(crate) async fn accept(
    server: &InferenceServer,
    request: &ModelInferRequest,
    responses: Responses,
) -> Result<Accepted> {
    server.accept(&request.model_name, status::version(&request.model_version)?, responses).await
}

/// Takes the raw tensors out of a message that was decoded in one piece.
pub(crate) fn take_raw(request: &mut ModelInferRequest) -> Vec<TensorData> {
    std::mem::take(&mut request.raw_input_contents).into_iter().map(TensorData::from).collect()
}

/// Hands a request to its model. `raw` are its raw tensors, wherever they are.
pub(crate) fn submit(
    server: &InferenceServer,
    accepted: Accepted,
    request: ModelInferRequest,
    raw: Vec<TensorData>,
    arrived: Instant,
    then: Then,
) -> Result<Submitted> {
    let parameters = request_parameters(request.parameters)?;
    let empty_final_response = parameters.empty_final_response;
    let (inputs, outputs) = (request.inputs, request.outputs);
    let mut message = Message { id: request.id, inputs, outputs, raw, parameters, arrived };
    let running = accepted.submit(server, &mut message, then)?;
    Ok(Submitted { id: message.id, empty_final_response, running })
}
