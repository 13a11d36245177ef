//! The receiving end of a request's response channel.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use hippocamp_events::{Observers, RequestContext};
use hippocamp_wake::{DeferredWake, TaskWaker};
use tokio::sync::mpsc;

use crate::once::{OnceReceiver, once};
use crate::{Delivery, Error, Event, Outlet, Response, ResponseSender, Result, Use};

/// Makes the response channel of a request, and reports to `observers` that it was received. The channel holds one event
/// for a model that answers once, and is an unbounded queue for a decoupled model.
pub fn channel(
    delivery: Delivery,
    context: impl Into<RequestContext>,
    observers: Arc<Observers>,
) -> (ResponseSender, ResponseReceiver) {
    let (outlet, channel) = match delivery {
        Delivery::Once => {
            let (tx, rx) = once();
            (Outlet::once(tx), Channel::Once(rx))
        }
        Delivery::Many => {
            let (tx, rx) = mpsc::unbounded_channel();
            (Outlet::many(tx), Channel::Many(rx, None))
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
    Once(OnceReceiver),
    /// Beside the queue, the task that waited last, with the waker that was made for it.
    Many(mpsc::UnboundedReceiver<Event>, Option<(Waker, Waker)>),
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
            Channel::Once(rx) => poll_fn(|context| rx.poll(context)).await,
            Channel::Many(rx, waiting) => poll_fn(|context| next_event(rx, waiting, context)).await,
        };
        if event.as_ref().is_none_or(Event::is_last) {
            self.channel = None;
        }
        event
    }

    /// The response of a model that answers once.
    ///
    /// # Errors
    /// That of the model, or `Internal` if it answered with no response.
    pub async fn only(mut self) -> Result<Response> {
        match self.next().await {
            Some(Event::Response { response, .. }) => Ok(response),
            Some(Event::Failed(error) | Event::ResponseFailed(error)) => Err(error),
            Some(Event::End) | None => Err(Error::internal("the model answered without a response")),
        }
    }
}

/// Receives the next of several events. The task is woken through its runtime's mailbox, by a waker that is made once for
/// all events.
fn next_event(
    rx: &mut mpsc::UnboundedReceiver<Event>,
    waiting: &mut Option<(Waker, Waker)>,
    context: &mut Context<'_>,
) -> Poll<Option<Event>> {
    let (_, waker) = match waiting {
        Some(waiting) if waiting.0.will_wake(context.waker()) => waiting,
        _ => waiting.insert((context.waker().clone(), TaskWaker::new(context.waker()).into())),
    };
    rx.poll_recv(&mut Context::from_waker(waker))
}
