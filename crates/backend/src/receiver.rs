//! The end of a request's way back that its own task waits on.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;

use hippocamp_events::{Observers, RequestContext};
use hippocamp_wake::{DeferredWake, batch_waker};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use crate::{Delivery, Error, Event, Outlet, Response, ResponseSender, Result, Use};

/// Makes both ends of the way back for a request, and reports to `observers` that it was received. A model that answers once
/// has a oneshot channel, a decoupled one an unbounded queue.
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

/// Receives what comes back for a request. Dropping it cancels the request.
#[derive(Debug)]
pub struct ResponseReceiver {
    /// `None` once the last event was received.
    channel: Option<Channel>,
    /// An instance that is to be woken before the response is waited for.
    deferred_wake: Option<DeferredWake>,
    /// A use of what answers, where that is counted.
    counted: Option<Use>,
}

#[derive(Debug)]
enum Channel {
    Once(oneshot::Receiver<Event>),
    Many(mpsc::UnboundedReceiver<Event>),
}

impl ResponseReceiver {
    /// Leaves it to this end to wake an instance. Only for whoever waits for the response right away.
    pub fn wake_when_waiting(&mut self, deferred_wake: Option<DeferredWake>) {
        self.deferred_wake = deferred_wake;
    }

    /// Counts as a use of what answers until this is dropped.
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
