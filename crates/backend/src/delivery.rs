//! The path of a request's events: to the task that waits for its response, or to a sink in between.

use std::fmt::Debug;

use hippocamp_wake::wake_at_once;
use tokio::sync::mpsc;

use crate::once::OnceSender;
use crate::{Event, OutputTensor, Result};

/// How many responses a request may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Exactly one.
    Once,
    /// Any number of responses, then an end: a decoupled model.
    Many,
}

/// A sink between a backend and the receiver of the response: an ensemble that feeds its next step, a batcher that
/// keeps a sequence's state, a cache that stores a copy.
///
/// Called on the thread that sends, usually an instance's own, so it must neither block nor compute for long. The one
/// exception is back pressure: an ensemble that limits the requests in flight of a step blocks the step before it.
/// Dropped after the last event.
pub trait ResponseSink: Send + Debug {
    /// Takes the next event. The last one is [`Event::is_last`]; it always comes, because a sender that is dropped
    /// sends an error.
    fn deliver(&mut self, event: Event);

    /// Whether the request is cancelled: its receiver was dropped.
    fn is_cancelled(&self) -> bool;

    /// Takes the next value of a state of the request's sequence, which comes apart from a response. By default nobody keeps
    /// it.
    fn keep_state(&mut self, state: OutputTensor) -> Result<()> {
        drop(state);
        Ok(())
    }
}

/// Sends the events of one request. Closed once the last event was sent.
#[derive(Debug)]
pub struct Outlet {
    to: Option<To>,
    delivery: Delivery,
}

#[derive(Debug)]
enum To {
    /// A null request, which has no receiver. Unlike a dropped receiver, this does not cancel the request.
    Nobody,
    Once(OnceSender),
    Many(mpsc::UnboundedSender<Event>),
    Sink(Box<dyn ResponseSink>),
}

impl Outlet {
    /// An outlet to a sink. `delivery` is how many responses it expects.
    pub fn to_sink(delivery: Delivery, sink: Box<dyn ResponseSink>) -> Outlet {
        Outlet { to: Some(To::Sink(sink)), delivery }
    }

    /// An outlet that is closed.
    pub(crate) fn closed(delivery: Delivery) -> Outlet {
        Outlet { to: None, delivery }
    }

    /// An outlet that discards all events.
    pub(crate) fn to_nobody(delivery: Delivery) -> Outlet {
        Outlet { to: Some(To::Nobody), delivery }
    }

    pub(crate) fn once(tx: OnceSender) -> Outlet {
        Outlet { to: Some(To::Once(tx)), delivery: Delivery::Once }
    }

    pub(crate) fn many(tx: mpsc::UnboundedSender<Event>) -> Outlet {
        Outlet { to: Some(To::Many(tx)), delivery: Delivery::Many }
    }

    /// Sends an event; nothing, once the last one was sent. A receiver that is gone is no error: the client hung up.
    pub fn send(&mut self, event: Event) {
        let is_last = event.is_last();
        match self.to.take() {
            None => {}
            Some(To::Nobody) => self.to = Some(To::Nobody),
            Some(To::Once(tx)) => tx.send(event),
            Some(To::Many(tx)) => {
                drop(tx.send(event));
                self.to = (!is_last).then_some(To::Many(tx));
            }
            Some(To::Sink(mut sink)) => {
                // It may go on to other models, or be held back.
                wake_at_once(|| sink.deliver(event));
                self.to = (!is_last).then_some(To::Sink(sink));
            }
        }
    }

    /// Hands the next value of a state of the request's sequence to the sink, if there is one.
    ///
    /// # Errors
    /// That of the sink: the shape of the state does not match the config.
    pub fn keep_state(&mut self, state: OutputTensor) -> Result<()> {
        match &mut self.to {
            Some(To::Sink(sink)) => sink.keep_state(state),
            _ => Ok(()),
        }
    }

    /// Whether the last event is still to come.
    pub fn is_open(&self) -> bool {
        self.to.is_some()
    }

    /// Whether the outlet discards all events.
    pub(crate) fn is_to_nobody(&self) -> bool {
        matches!(self.to, Some(To::Nobody))
    }

    /// Whether the request is cancelled or its last event was sent.
    pub fn is_cancelled(&self) -> bool {
        match &self.to {
            Some(To::Nobody) => false,
            Some(To::Once(tx)) => tx.is_closed(),
            Some(To::Many(tx)) => tx.is_closed(),
            Some(To::Sink(sink)) => sink.is_cancelled(),
            None => true,
        }
    }

    /// How many responses the request may have.
    pub fn delivery(&self) -> Delivery {
        self.delivery
    }
}
