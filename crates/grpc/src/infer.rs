//! `ModelInfer`: one request, one response.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use hippocamp_backend::{Error, Parameters, Result};
use hippocamp_core::{
    Accepted, AccessRecord, Activity, HeaderForwarding, InferenceServer, Observed, Responses, Running, Then,
};
use hippocamp_grpc_content::{deadline, metadata};
use hippocamp_net::off_thread;
use hippocamp_proto::inference::ModelInferRequest;
use hippocamp_tensor::TensorData;
use tonic::Extensions;
use tonic::codegen::http::HeaderMap;
use tonic::metadata::MetadataMap;

use crate::decode::Message;
use crate::delays::{Delays, hold};
use crate::encode::Reply;
use crate::parameters::request_parameters;
use crate::{encode, status};

/// A request that its model has, and what its replies say of it.
pub(crate) struct Submitted {
    pub(crate) id: String,
    /// As the request has it; empty if it leaves the choice to the server.
    pub(crate) version: String,
    pub(crate) empty_final_response: bool,
    pub(crate) running: Running,
}

/// What all calls of inference have in common.
#[derive(Clone, Debug)]
pub(crate) struct Inference {
    pub(crate) server: Arc<InferenceServer>,
    pub(crate) delays: Delays,
    /// The size in bytes above which tensors are copied, converted or digested on another thread.
    pub(crate) large_copy: usize,
    /// Which metadata of a call become parameters of its requests.
    pub(crate) forwarding: HeaderForwarding,
}

/// What is known of a call beside its messages.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) headers: HeaderMap,
    /// Its line in the access log, if there is such a log.
    pub(crate) record: Option<Arc<AccessRecord>>,
    /// How long the client waits, if it said so.
    pub(crate) timeout: Option<Duration>,
    /// When it began, if requests may be observed.
    pub(crate) began: Option<Instant>,
}

impl Call {
    /// A call that begins now.
    pub(crate) fn new(inference: &Inference, metadata: MetadataMap, extensions: &Extensions) -> Call {
        let record = extensions.get::<Arc<AccessRecord>>().cloned();
        let headers = metadata.into_headers();
        let timeout = deadline::timeout(&headers);
        Call { headers, record, timeout, began: inference.server.observed_now() }
    }

    /// Begins to observe a request of the call, which was read just now.
    pub(crate) fn observe(&self, server: &InferenceServer, model: &str) -> Observed {
        self.observe_as(server, model, self.record.as_ref())
    }

    /// The same for one of several requests of the call, of so many bytes, which gets a line of its own.
    pub(crate) fn observe_message(&self, server: &InferenceServer, model: &str, bytes: usize) -> Observed {
        let record = self.record.as_ref().map(|record| record.message(bytes));
        self.observe_as(server, model, record.as_ref())
    }

    fn observe_as(
        &self,
        server: &InferenceServer,
        model: &str,
        record: Option<&Arc<AccessRecord>>,
    ) -> Observed {
        let observed = server.observe(model, record, |name| self.headers.get(name)?.to_str().ok());
        observed.mark_at(Activity::GrpcWaitreadStart, self.began);
        observed.mark(Activity::GrpcWaitreadEnd);
        observed
    }

    /// The parameters that the metadata of the call give to its requests.
    pub(crate) fn forwarded(&self, forwarding: &HeaderForwarding) -> Result<Option<Box<Parameters>>> {
        forwarding.parameters(metadata(&self.headers))
    }

    /// When the client stops waiting, if it said so.
    pub(crate) fn deadline(&self, began: Instant) -> Option<Instant> {
        self.timeout.and_then(|timeout| began.checked_add(timeout))
    }

    /// Notes that the next request of a stream is waited for, since now.
    pub(crate) fn read_on(&mut self, server: &InferenceServer) {
        self.began = server.observed_now();
    }
}

/// Answers one request, whose raw tensors are in `raw`. Dropping the future cancels it, at once unless a test wants it
/// later.
pub(crate) async fn infer(
    inference: &Inference,
    call: &Call,
    request: ModelInferRequest,
    raw: Vec<TensorData>,
) -> (Result<Reply>, Observed) {
    let Some(held) = &inference.delays else { return execute(inference, call, request, raw).await };
    let (inference, call) = (inference.clone(), call.clone());
    let call = async move { execute(&inference, &call, request, raw).await };
    Box::pin(held.cancel_late(call)).await
}

async fn execute(
    inference: &Inference,
    call: &Call,
    request: ModelInferRequest,
    raw: Vec<TensorData>,
) -> (Result<Reply>, Observed) {
    let Inference { server, delays, forwarding, .. } = inference;
    hold(delays, |delays| delays.process).await;
    let arrived = Instant::now();
    let accepted = match accept(server, &request, ONE).await {
        Ok(accepted) => accepted,
        Err(error) => return (Err(error), Observed::default()),
    };
    let accepted = match call.forwarded(forwarding) {
        Ok(forwarded) => accepted.with_parameters(forwarded),
        Err(error) => return (Err(error), Observed::default()),
    };
    let observed = call.observe(server, &request.model_name);
    let accepted = accepted.of(observed.origin(call.deadline(arrived)));
    (run(inference, accepted, request, raw, arrived, &observed).await, observed)
}

async fn run(
    inference: &Inference,
    accepted: Accepted,
    request: ModelInferRequest,
    raw: Vec<TensorData>,
    arrived: Instant,
    observed: &Observed,
) -> Result<Reply> {
    let Inference { server, delays, large_copy, .. } = inference;
    let is_large = work(&accepted, &request, &raw, *large_copy) > *large_copy;
    let Submitted { id, running, .. } = if is_large {
        let server = Arc::clone(server);
        elsewhere(move || submit(&server, accepted, request, raw, arrived, Then::Wait)).await?
    } else {
        submit(server, accepted, request, raw, arrived, Then::Wait)?
    };
    let Running { model, responses, mut outputs } = running;
    let response = responses.only().await;
    observed.mark(Activity::InferResponseComplete);
    hold(delays, |delays| delays.response_completion).await;
    let response = response?;
    if *large_copy != usize::MAX && outputs.copied_bytes(&model, &response) > *large_copy {
        return elsewhere(move || encode::reply(&model, id, &mut outputs, response)).await;
    }
    encode::reply(&model, id, &mut outputs, response)
}

/// Does large work on another thread. The future is boxed, or that of every call would be larger by its size.
fn elsewhere<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Pin<Box<impl Future<Output = Result<T>> + Send>> {
    Box::pin(off_thread(true, work).map(|done| {
        done.map_err(|e| Error::internal("the request could not be processed").with_source(e))?
    }))
}

/// The bytes that are converted or digested when the request is submitted; not counted unless they may exceed `large`.
fn work(accepted: &Accepted, request: &ModelInferRequest, raw: &[TensorData], large: usize) -> usize {
    if large == usize::MAX {
        return 0;
    }
    let typed: usize = request
        .inputs
        .iter()
        .filter_map(|input| input.contents.as_ref())
        .map(prost::Message::encoded_len)
        .sum();
    let digested = if accepted.is_digested() { raw.iter().map(TensorData::len).sum() } else { 0 };
    typed + digested
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
    Ok(Submitted { id: message.id, version: request.model_version, empty_final_response, running })
}
