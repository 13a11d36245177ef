//! `StreamInfer`: any number of requests on one call, each with one reply, in the order of the requests.
//!
//! Requests are read and queued without waiting for earlier ones, so that they are executed at the same time. A request that
//! fails has a reply that says so; the stream goes on, and never ends with an error.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use hippocamp_backend::{Error, Result};
use hippocamp_core::{Activity, HeaderForwarding, Observed, Then};
use hippocamp_grpc_content::Room;
use hippocamp_net::{Charge, Exchange, Phase};
use hippocamp_proto::v1::{InferRequest, InferResponse};
use hippocamp_tensor::TensorData;
use hippocamp_v1::{Submitted, V1};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio_stream::{Stream, StreamExt};
use tonic::{Status, Streaming};

use crate::infer::{Call, RawInputs, Reply, accept};
use crate::service::Service;

/// Requests under way and replies not yet written, on one stream. Beyond that, reading waits.
const IN_FLIGHT: usize = 1024;

/// And so many bytes of requests, and of replies that wait to be written.
const REQUEST_BYTES: usize = 64 << 20;
const REPLY_BYTES: usize = 16 << 20;

/// What a request costs beside its tensors, in bytes.
const REQUEST: usize = 1 << 10;

/// The replies of a stream.
#[derive(Debug)]
pub(crate) struct Replies(mpsc::Receiver<(InferResponse, Option<OwnedSemaphorePermit>)>);

impl Stream for Replies {
    type Item = std::result::Result<InferResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|next| next.map(|(reply, _)| Ok(reply)))
    }
}

/// A request whose reply is to come.
struct Pending {
    number: u64,
    id: u64,
    submitted: Result<Box<Submitted>>,
    observed: Observed,
    /// What the stream holds for it. `None` if it failed, or where nobody counts what connections hold.
    _held: Option<(Charge, OwnedSemaphorePermit)>,
}

/// Starts reading requests, and returns the replies. Dropping these cancels what is under way.
pub(crate) fn infer(
    service: &Service,
    exchange: Option<Arc<Exchange>>,
    call: Call,
    requests: Streaming<InferRequest>,
) -> Replies {
    let (replies, stream) = mpsc::channel(IN_FLIGHT);
    let (pending, waiting) = mpsc::channel(IN_FLIGHT);
    let v1 = Arc::clone(&service.v1);
    let writer =
        Writer { v1: Arc::clone(&v1), replies, room: Room::new(REPLY_BYTES), large: service.large_copy };
    tokio::spawn(writer.clone().answer(waiting));
    let deadline = call.deadline(Instant::now());
    let starter = Starter {
        v1,
        exchange,
        call,
        forwarding: service.forwarding.clone(),
        deadline,
        room: Room::new(REQUEST_BYTES),
    };
    tokio::spawn(read(starter, requests, service.phase.clone(), pending, writer));
    Replies(stream)
}

/// Reads requests until the client is done or gone, or the server stops.
async fn read(
    mut starter: Starter,
    mut requests: Streaming<InferRequest>,
    mut phase: watch::Receiver<Phase>,
    pending: mpsc::Sender<Pending>,
    writer: Writer,
) {
    loop {
        let request = tokio::select! {
            request = requests.next() => request,
            () = writer.replies.closed() => return,
            // What was read is still answered; an idle stream does not hold up the end.
            _ = phase.wait_for(|phase| *phase != Phase::Serving) => return,
        };
        let (next, is_last) = match request {
            None => return,
            // A model that is loaded for a request holds up the requests behind it: their order stays.
            Some(Ok(request)) => {
                let next = tokio::select! {
                    next = starter.start(request) => next,
                    () = writer.replies.closed() => return,
                };
                (next, false)
            }
            // The message could not be decoded, so that nothing behind it can be.
            Some(Err(broken)) => (starter.broken(&broken), true),
        };
        if pending.send(next).await.is_err() || is_last {
            return;
        }
    }
}

/// What hands requests to their models.
struct Starter {
    v1: Arc<V1>,
    exchange: Option<Arc<Exchange>>,
    /// Of the stream; each of its requests names a model of its own.
    call: Call,
    forwarding: HeaderForwarding,
    /// When the client stops waiting for the whole stream.
    deadline: Option<Instant>,
    room: Room,
}

impl Starter {
    async fn start(&mut self, request: InferRequest) -> Pending {
        let number = self.v1.number();
        let id = request.meta_data.as_ref().map_or(0, |header| header.id);
        let mut observed = Observed::default();
        let (submitted, held) = match self.submit(request, &mut observed).await {
            Ok((submitted, held)) => (Ok(submitted), held),
            Err(error) => (Err(error), None),
        };
        self.call.began = self.v1.server().observed_now();
        Pending { number, id, submitted, observed, _held: held }
    }

    /// Waits for room, and for a model that is loaded for the request.
    async fn submit(
        &self,
        request: InferRequest,
        observed: &mut Observed,
    ) -> Result<(Box<Submitted>, Option<(Charge, OwnedSemaphorePermit)>)> {
        let arrived = Instant::now();
        let InferRequest { model_name, model_version, meta_data, raw_input } = request;
        let accepted = accept(&self.v1, &self.call, &self.forwarding, &model_name, model_version).await?;
        let raw: Vec<TensorData> = raw_input.into_iter().map(TensorData::from).collect();
        let bytes = REQUEST + raw.iter().map(TensorData::len).sum::<usize>();
        let charge = self.exchange.as_ref().map(|exchange| exchange.charge(bytes));
        let charge = charge.transpose().map_err(|error| Error::unavailable(error.to_string()))?;
        let room = self.room.take(bytes).await;
        *observed = self.call.observe_message(&self.v1, &model_name, bytes - REQUEST);
        let accepted = accepted.of(observed.origin(self.deadline));
        let (header, raw) = (meta_data.unwrap_or_default(), RawInputs::new(raw));
        let submitted = self.v1.submit(accepted, header, raw, arrived, Then::Continue)?;
        Ok((Box::new(submitted), charge.zip(room)))
    }

    fn broken(&self, broken: &Status) -> Pending {
        let error = Error::invalid_arg(broken.message().to_owned());
        let (number, observed) = (self.v1.number(), Observed::default());
        Pending { number, id: 0, submitted: Err(error), observed, _held: None }
    }
}

/// What writes the replies.
#[derive(Clone)]
struct Writer {
    v1: Arc<V1>,
    replies: mpsc::Sender<(InferResponse, Option<OwnedSemaphorePermit>)>,
    room: Room,
    large: usize,
}

impl Writer {
    /// Writes the reply of each request, until nobody reads them any more: then the requests are cancelled.
    async fn answer(self, mut waiting: mpsc::Receiver<Pending>) {
        while let Some(Pending { number, id, submitted, observed, _held }) = waiting.recv().await {
            let answer = async {
                match submitted {
                    Ok(submitted) => submitted.answer::<RawInputs>(self.large, &observed).await,
                    Err(error) => Err(error),
                }
            };
            let answer = tokio::select! {
                answer = answer => answer,
                () = self.replies.closed() => return,
            };
            let reply = Reply::new(&self.v1, number, id, answer).into_message(&self.v1);
            let bytes = reply.raw_output.iter().map(bytes::Bytes::len).sum();
            let room = tokio::select! {
                room = self.room.take(bytes) => room,
                () = self.replies.closed() => return,
            };
            observed.mark(Activity::GrpcSendStart);
            if self.replies.send((reply, room)).await.is_err() {
                return;
            }
            observed.mark(Activity::GrpcSendEnd);
        }
    }
}
