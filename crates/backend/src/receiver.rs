//! The receiving end of a request's response channel.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;

use hippocamp_events::{Observers, RequestContext};
use hippocamp_wake::{DeferredWake, batch_waker};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use crate::{Delivery, Error, Event, Outlet, Response, ResponseSender, Result, Use};

/// Makes the response channel of a request, and reports to `observers` that it was received. The channel is a oneshot
/// for a model that answers once, and an unbounded queue for a decoupled model.
pub fn channel(
    delivery: Delivery,
    context: impl Into<RequestContext>,
    observers: Arc<Observers>,
) -> (ResponseSender, ResponseReceiver) {
    let (outlet, channel) = match delivery {
        Delivery::Once => {
            let (tx, rx) = oneshot::channel();
            (Outlet::once(tx), Channel::Once(rx))
        }
        Delivery::Many => {
            let (tx, rx) = mpsc::unbounded_channel();
            (Outlet::many(tx), Channel::Many(rx))
        }
    };
    let receiver = ResponseReceiver { channel: Some(channel), deferred_wake: None, counted: None };
    (ResponseSender::new(outlet, context, observers), receiver)
}

/// Receives the responses of a request. Dropping it cancels the request.
#[derive(Debug)]
pub struct ResponseReceiver {
    /// `None` once the last event was received.
    channel: Option<Channel>,
    /// An instance that is to be woken before the response is waited for.
    deferred_wake: Option<DeferredWake>,
    /// A counted use of the model version that answers, if uses are counted.
    counted: Option<Use>,
}

#[derive(Debug)]
enum Channel {
    Once(oneshot::Receiver<Event>),
    Many(mpsc::UnboundedReceiver<Event>),
}

impl ResponseReceiver {
    /// Performs the deferred wake when the response is waited for. Only for a caller that waits right away.
    pub fn wake_when_waiting(&mut self, deferred_wake: Option<DeferredWake>) {
        self.deferred_wake = deferred_wake;
    }

    /// Holds a counted use of the model version until the receiver is dropped.
    pub fn count_as(&mut self, counted: Option<Use>) {
        self.counted = counted;
    }

    /// The next event; `None` after the last.
    pub async fn next(&mut self) -> Option<Event> {
        if let Some(deferred_wake) = self.deferred_wake.take() {
            deferred_wake.wake_last().await;
        }
        let event = match self.channel.as_mut()? {
            Channel::Once(rx) => only_event(rx).await,
            Channel::Many(rx) => rx.recv().await,
        };
        if event.as_ref().is_none_or(Event::is_last) {
            self.channel = None;
        }
        event
    }

    /// The response of a model that answers once.
    pub async fn only(mut self) -> Result<Response> {
        match self.next().await {
            Some(Event::Response { response, .. }) => Ok(response),
            Some(Event::Failed(error) | Event::ResponseFailed(error)) => Err(error),
            Some(Event::End) | None => Err(Error::internal("the model answered without a response")),
        }
    }
}

/// Receives the one event of a oneshot channel. If it has to wait, the task is woken together with those of its batch: a
/// [`batch_waker`] is an allocation, which an event that is there already does not need.
async fn only_event(rx: &mut oneshot::Receiver<Event>) -> Option<Event> {
    match rx.try_recv() {
        Ok(event) => return Some(event),
        Err(TryRecvError::Closed) => return None,
        Err(TryRecvError::Empty) => {}
    }
    poll_fn(|context| {
        let waker = batch_waker(context.waker());
        Pin::new(&mut *rx).poll(&mut Context::from_waker(&waker))
    })
    .await
    .ok()
}
