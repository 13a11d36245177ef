//! What all transports have in common: a request is sent, and its answer awaited.

use std::time::Instant;

use bytes::Bytes;

use crate::sequence::Step;

/// A request in the form in which it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) message: Bytes,
    /// Its place in a sequence, which the message has as well.
    pub(crate) step: Option<Step>,
}

/// A complete answer without an error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply {
    /// How many responses it has: any number from a decoupled model, one from all others.
    pub(crate) responses: u32,
    /// When the first response was there, if there may be several.
    pub(crate) first: Option<Instant>,
}

impl Reply {
    /// The answer with exactly one response.
    pub(crate) const SINGLE: Reply = Reply { responses: 1, first: None };
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server answered with an error.
    Refused(String),
    /// The connection was lost. The next request opens another one.
    Broken(String),
    /// No connection can be opened.
    Unreachable(String),
}

impl Fault {
    pub(crate) fn text(&self) -> &str {
        let (Fault::Refused(text) | Fault::Broken(text) | Fault::Unreachable(text)) = self;
        text
    }
}

/// A connection, or a share of one, or a model in this process, which takes one request at a time.
pub(crate) trait Exchange: Send + 'static {
    /// Sends a request and waits until its answer is complete.
    fn exchange(&mut self, call: &Call) -> impl Future<Output = Result<Reply, Fault>> + Send;

    /// Ends what is open, as a client does that has no more requests.
    fn close(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}
