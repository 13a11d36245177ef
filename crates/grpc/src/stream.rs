//! `ModelStreamInfer`: any number of requests and responses on one call.
//!
//! Requests are read and queued without waiting for earlier ones. Models that answer once are answered in the order of
//! their requests; responses of decoupled models go out as they come, in between. A failing request yields an error
//! message and the stream goes on.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use hippocamp_access::Grant;
use hippocamp_backend::{Error, Event, Result};
use hippocamp_core::{Activity, HeaderForwarding, InferenceServer, Observed, Responses, Running, Then};
use hippocamp_grpc_content::Room;
use hippocamp_net::{Charge, Exchange, Phase};
use hippocamp_proto::inference::{ModelInferRequest, ModelInferResponse, ModelStreamInferResponse};
use hippocamp_tensor::TensorData;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio_stream::{Stream, StreamExt};
use tonic::{Status, Streaming};

use crate::delays::{Delays, hold};
use crate::infer::{self, Call, Submitted};
use crate::parameters::flag;
use crate::{
    encode,
    status::{code, status},
};

/// Requests under way and answers not yet written, on one stream. Beyond that, reading waits.
const IN_FLIGHT: usize = 1024;

/// Present on every answer of a stream: whether it is the last one of its request.
const FINAL_RESPONSE: &str = "triton_final_response";

/// And so many bytes of requests, and of answers that wait to be written.
const REQUEST_BYTES: usize = 64 << 20;
const REPLY_BYTES: usize = 16 << 20;

/// What a request costs beside its tensors.
const REQUEST: usize = 1 << 10;

type Reply = std::result::Result<ModelStreamInferResponse, Status>;

/// The answers of a stream.
#[derive(Debug)]
pub(crate) struct Replies(mpsc::Receiver<(Reply, Option<OwnedSemaphorePermit>)>);

impl Stream for Replies {
    type Item = Reply;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Reply>> {
        self.0.poll_recv(cx).map(|next| next.map(|(reply, _)| reply))
    }
}

/// A request that its model has, and what the stream holds for it.
struct Pending {
    submitted: Submitted,
    observed: Observed,
    /// `None` where nobody counts what connections hold.
    _held: Option<(Charge, OwnedSemaphorePermit)>,
}

/// What is answered in the order of the requests.
enum InOrder {
    Pending(Box<Pending>),
    Refused { id: String, error: Error },
}

/// Starts reading requests, and returns the stream of answers. Dropping it cancels what is under way.
pub(crate) fn infer(
    server: Arc<InferenceServer>,
    client: Client,
    requests: Streaming<ModelInferRequest>,
    phase: watch::Receiver<Phase>,
    how: Writing,
) -> Replies {
    let (replies, stream) = mpsc::channel(IN_FLIGHT);
    let (in_order, waiting) = mpsc::channel(IN_FLIGHT);
    let writer = Writer { replies, room: Room::new(REPLY_BYTES), how };
    tokio::spawn(writer.clone().answer_in_order(waiting));
    let deadline = client.call.deadline(Instant::now());
    let starter = Starter { server, client, deadline, room: Room::new(REQUEST_BYTES) };
    tokio::spawn(read(starter, requests, phase, in_order, writer));
    Replies(stream)
}

/// Reads requests until the client is done or gone, or the server stops.
async fn read(
    mut starter: Starter,
    mut requests: Streaming<ModelInferRequest>,
    mut phase: watch::Receiver<Phase>,
    in_order: mpsc::Sender<InOrder>,
    writer: Writer,
) {
    loop {
        let request = tokio::select! {
            request = requests.next() => request,
            () = writer.gone() => return,
            // What was read is still answered; an idle stream does not hold up the end.
            _ = phase.wait_for(|phase| *phase != Phase::Serving) => return,
        };
        match request {
            None => return,
            Some(Ok(request)) => {
                // A model that stands by holds up the requests behind it: their order stays.
                let next = tokio::select! {
                    next = starter.start(&writer.how.delays, request) => next,
                    () = writer.gone() => return,
                };
                let next = match next {
                    InOrder::Pending(pending) if pending.submitted.running.model.interface.decoupled => {
                        tokio::spawn(writer.clone().answer(pending));
                        continue;
                    }
                    next => next,
                };
                if in_order.send(next).await.is_err() {
                    return;
                }
            }
            Some(Err(broken)) => {
                // The message could not be decoded, so the stream cannot go on.
                writer.send(Err(broken)).await;
                return;
            }
        }
    }
}

/// Whoever sends the requests of a stream.
pub(crate) struct Client {
    pub(crate) exchange: Option<Arc<Exchange>>,
    /// What the client may ask for; each request names a model of its own.
    pub(crate) grant: Grant,
    pub(crate) call: Call,
    /// Which metadata of the call become parameters of each request.
    pub(crate) forwarding: HeaderForwarding,
}

/// What hands requests to their models.
struct Starter {
    server: Arc<InferenceServer>,
    client: Client,
    /// When the client stops waiting for the whole stream.
    deadline: Option<Instant>,
    room: Room,
}

impl Starter {
    async fn start(&mut self, delays: &Delays, mut request: ModelInferRequest) -> InOrder {
        hold(delays, |delays| delays.process).await;
        let raw = infer::take_raw(&mut request);
        let id = request.id.clone();
        let submitted = self.submit(request, raw).await;
        self.client.call.read_on(&self.server);
        match submitted {
            Ok(pending) => InOrder::Pending(Box::new(pending)),
            Err(error) => InOrder::Refused { id, error },
        }
    }

    /// Waits for room, and for a model that stands by.
    async fn submit(&self, request: ModelInferRequest, raw: Vec<TensorData>) -> Result<Pending> {
        if let Err(denial) = self.client.grant.model(&request.model_name) {
            return Err(Error::unavailable(denial.to_string()));
        }
        let arrived = Instant::now();
        let bytes = REQUEST + raw.iter().map(TensorData::len).sum::<usize>();
        let charge = self.client.exchange.as_ref().map(|exchange| exchange.charge(bytes));
        let charge = charge.transpose().map_err(|error| Error::unavailable(error.to_string()))?;
        let room = self.room.take(bytes).await;
        let accepted = infer::accept(&self.server, &request, Responses::Any).await?;
        let observed = self.client.call.observe_message(&self.server, &request.model_name, bytes - REQUEST);
        let forwarded = self.client.call.forwarded(&self.client.forwarding)?;
        let accepted = accepted.of(observed.origin(self.deadline)).with_parameters(forwarded);
        let submitted = infer::submit(&self.server, accepted, request, raw, arrived, Then::Continue)?;
        Ok(Pending { submitted, observed, _held: charge.zip(room) })
    }
}

/// How the answers of a stream are written.
#[derive(Clone, Debug)]
pub(crate) struct Writing {
    /// The client asked for the first failed execution to end the stream with its status.
    pub(crate) close_on_error: bool,
    pub(crate) delays: Delays,
}

#[derive(Clone)]
struct Writer {
    replies: mpsc::Sender<(Reply, Option<OwnedSemaphorePermit>)>,
    room: Room,
    how: Writing,
}

impl Writer {
    async fn answer_in_order(self, mut waiting: mpsc::Receiver<InOrder>) {
        while let Some(next) = waiting.recv().await {
            let open = match next {
                InOrder::Pending(pending) => self.clone().answer(pending).await,
                InOrder::Refused { id, error } => {
                    let infer_response = ModelInferResponse { id, ..ModelInferResponse::default() };
                    self.send(Ok(failed(&error, infer_response))).await
                }
            };
            if !open {
                return;
            }
        }
    }

    /// Passes on every response of one request. False once nobody reads the answers: then the request is cancelled, and
    /// those behind it.
    async fn answer(self, mut pending: Box<Pending>) -> bool {
        let Pending { submitted, observed, .. } = &mut *pending;
        let Submitted { id, version, empty_final_response, running } = submitted;
        loop {
            let event = tokio::select! {
                event = running.responses.next() => event,
                () = self.gone() => return false,
            };
            let Some(event) = event else { return true };
            let code = match &event {
                Event::ResponseFailed(error) | Event::Failed(error) => code(error.code()),
                Event::Response { .. } | Event::End => tonic::Code::Ok,
            };
            let reply = match event {
                Event::Response { response, last } => {
                    let reply = encode::reply(&running.model, id.clone(), &mut running.outputs, response);
                    match reply.and_then(encode::Reply::into_message) {
                        Ok(message) => Ok(answered(message, last)),
                        Err(error) => self.execution_failed(running, id, &error, last),
                    }
                }
                Event::ResponseFailed(error) => self.execution_failed(running, id, &error, false),
                Event::Failed(error) => self.execution_failed(running, id, &error, true),
                Event::End if *empty_final_response => {
                    // It has the version that the request has, if any, as in Triton.
                    let model_version = std::mem::take(version);
                    Ok(answered(ModelInferResponse { model_version, ..identity(running, id) }, true))
                }
                Event::End => return true,
            };
            observed.mark(Activity::InferResponseComplete);
            if observed.is_logged() {
                observed.answered(code as i32, reply.as_ref().map_or(0, prost::Message::encoded_len));
            }
            observed.mark(Activity::GrpcSendStart);
            if !self.send(reply).await {
                return false;
            }
            observed.mark(Activity::GrpcSendEnd);
        }
    }

    fn execution_failed(&self, running: &Running, id: &str, error: &Error, last: bool) -> Reply {
        if self.how.close_on_error {
            return Err(status(error));
        }
        let mut response = identity(running, id);
        response.parameters.insert(FINAL_RESPONSE.to_owned(), flag(last));
        Ok(failed(error, response))
    }

    /// Returns when nobody reads the answers any more.
    async fn gone(&self) {
        self.replies.closed().await;
        hold(&self.how.delays, |delays| delays.notification).await;
    }

    /// Waits for the client to read.
    async fn send(&self, reply: Reply) -> bool {
        hold(&self.how.delays, |delays| delays.response).await;
        let response = reply.as_ref().ok().and_then(|reply| reply.infer_response.as_ref());
        let raw = response.map_or(&[][..], |response| &response.raw_output_contents);
        let bytes = raw.iter().map(bytes::Bytes::len).sum();
        let room = tokio::select! {
            room = self.room.take(bytes) => room,
            () = self.replies.closed() => return false,
        };
        self.replies.send((reply, room)).await.is_ok()
    }
}

/// A response that says only which request it belongs to.
fn identity(running: &Running, id: &str) -> ModelInferResponse {
    ModelInferResponse {
        model_name: running.model.name.to_string(),
        id: id.to_owned(),
        ..ModelInferResponse::default()
    }
}

fn answered(mut response: ModelInferResponse, last: bool) -> ModelStreamInferResponse {
    response.parameters.insert(FINAL_RESPONSE.to_owned(), flag(last));
    ModelStreamInferResponse { error_message: String::new(), infer_response: Some(response) }
}

fn failed(error: &Error, response: ModelInferResponse) -> ModelStreamInferResponse {
    ModelStreamInferResponse { error_message: error.message().to_owned(), infer_response: Some(response) }
}
