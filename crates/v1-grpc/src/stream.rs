//! `StreamInfer`: any number of requests on one call, each with one reply, in the order of the requests.
//!
//! Requests are read and queued without waiting for earlier ones, so that they are executed at the same time. A request that
//! fails has a reply that says so; the stream goes on, and never ends with an error.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use hippocamp_access::Grant;
use hippocamp_backend::{Error, Result};
use hippocamp_core::Then;
use hippocamp_grpc_content::Room;
use hippocamp_net::{Charge, Exchange, Phase};
use hippocamp_proto::v1::{InferRequest, InferResponse};
use hippocamp_tensor::TensorData;
use hippocamp_v1::{Submitted, V1};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio_stream::{Stream, StreamExt};
use tonic::{Status, Streaming};

use crate::infer::{RawInputs, Reply};
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
    /// What the stream holds for it. `None` if it failed, or where nobody counts what connections hold.
    _held: Option<(Charge, OwnedSemaphorePermit)>,
}

/// Starts reading requests, and returns the replies. Dropping these cancels what is under way.
pub(crate) fn infer(
    service: &Service,
    exchange: Option<Arc<Exchange>>,
    grant: Result<Grant>,
    requests: Streaming<InferRequest>,
) -> Replies {
    let (replies, stream) = mpsc::channel(IN_FLIGHT);
    let (pending, waiting) = mpsc::channel(IN_FLIGHT);
    let v1 = Arc::clone(&service.v1);
    let writer =
        Writer { v1: Arc::clone(&v1), replies, room: Room::new(REPLY_BYTES), large: service.large_copy };
    tokio::spawn(writer.clone().answer(waiting));
    let starter = Starter { v1, exchange, grant, room: Room::new(REQUEST_BYTES) };
    tokio::spawn(read(starter, requests, service.phase.clone(), pending, writer));
    Replies(stream)
}

/// Reads requests until the client is done or gone, or the server stops.
async fn read(
    starter: Starter,
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
    /// What the client of the stream may ask for; each request names a model of its own.
    grant: Result<Grant>,
    room: Room,
}

impl Starter {
    async fn start(&self, request: InferRequest) -> Pending {
        let number = self.v1.number();
        let id = request.meta_data.as_ref().map_or(0, |header| header.id);
        match self.submit(request).await {
            Ok((submitted, held)) => Pending { number, id, submitted: Ok(submitted), _held: held },
            Err(error) => Pending { number, id, submitted: Err(error), _held: None },
        }
    }

    /// Waits for room, and for a model that is loaded for the request.
    async fn submit(
        &self,
        request: InferRequest,
    ) -> Result<(Box<Submitted>, Option<(Charge, OwnedSemaphorePermit)>)> {
        let arrived = Instant::now();
        let InferRequest { model_name, model_version, meta_data, raw_input } = request;
        match &self.grant {
            Ok(grant) => hippocamp_v1::check_model(grant, &model_name)?,
            Err(error) => return Err(Error::new(error.code(), error.message().to_owned())),
        }
        let raw: Vec<TensorData> = raw_input.into_iter().map(TensorData::from).collect();
        let bytes = REQUEST + raw.iter().map(TensorData::len).sum::<usize>();
        let charge = self.exchange.as_ref().map(|exchange| exchange.charge(bytes));
        let charge = charge.transpose().map_err(|error| Error::unavailable(error.to_string()))?;
        let room = self.room.take(bytes).await;
        let accepted = self.v1.accept(&model_name, model_version).await?;
        let (header, raw) = (meta_data.unwrap_or_default(), RawInputs::new(raw));
        let submitted = self.v1.submit(accepted, header, raw, arrived, Then::Continue)?;
        Ok((Box::new(submitted), charge.zip(room)))
    }

    fn broken(&self, broken: &Status) -> Pending {
        let error = Error::invalid_arg(broken.message().to_owned());
        Pending { number: self.v1.number(), id: 0, submitted: Err(error), _held: None }
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
        while let Some(Pending { number, id, submitted, _held }) = waiting.recv().await {
            let answer = async {
                match submitted {
                    Ok(submitted) => submitted.answer::<RawInputs>(self.large).await,
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
            if self.replies.send((reply, room)).await.is_err() {
                return;
            }
        }
    }
}
