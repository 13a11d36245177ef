//! The way from a run to whoever asked.

use hippocamp_backend::{Error, FailureReason, Response, ResponseSender};
use parking_lot::Mutex;

/// The one response sender of a request, which any of its steps may use. The last event goes through once, whoever is
/// first. Nothing is sent under `state`: a send may go on into an ensemble around this one, and be held back there.
#[derive(Debug)]
pub(crate) struct WayOut {
    state: Mutex<State>,
    /// Held by whoever sends one of several responses. Others that have one wait for it: they are held back as well.
    turn: Mutex<()>,
}

#[derive(Debug)]
enum State {
    Open(ResponseSender),
    /// Somebody is sending a response. Who fails meanwhile leaves the reason here.
    Sending(Option<(Error, FailureReason)>),
    /// The last event is on its way.
    Closed,
}

impl WayOut {
    pub(crate) fn new(sender: ResponseSender) -> WayOut {
        WayOut { state: Mutex::new(State::Open(sender)), turn: Mutex::new(()) }
    }

    /// Sends one of several responses.
    pub(crate) fn send(&self, response: Response) {
        let turn = self.turn.lock();
        let mut sender = {
            let mut state = self.state.lock();
            match std::mem::replace(&mut *state, State::Sending(None)) {
                State::Open(sender) => sender,
                other => {
                    *state = other;
                    return;
                }
            }
        };
        sender.send(response);
        let mut state = self.state.lock();
        let failure = match std::mem::replace(&mut *state, State::Closed) {
            State::Sending(Some(failure)) => failure,
            State::Sending(None) => {
                *state = State::Open(sender);
                return;
            }
            State::Open(_) | State::Closed => return,
        };
        drop(state);
        drop(turn);
        sender.fail(failure.0, failure.1);
    }

    /// Sends the error, or has it sent by whoever sends something just now. Nothing, if the last event is on its way.
    pub(crate) fn fail(&self, error: Error, reason: FailureReason) {
        let mut state = self.state.lock();
        if let State::Sending(failure) = &mut *state {
            failure.get_or_insert((error, reason));
            return;
        }
        let sender = close(&mut state);
        drop(state);
        if let Some(sender) = sender {
            sender.fail(error, reason);
        }
    }

    /// Hands out the sender for the last event; `None` if that is on its way already.
    pub(crate) fn close(&self) -> Option<ResponseSender> {
        close(&mut self.state.lock())
    }

    /// Whether nobody waits for an answer any more. While something is sent, somebody does.
    pub(crate) fn is_cancelled(&self) -> bool {
        match &*self.state.lock() {
            State::Open(sender) => sender.is_cancelled(),
            State::Sending(failure) => failure.is_some(),
            State::Closed => true,
        }
    }
}

fn close(state: &mut State) -> Option<ResponseSender> {
    match std::mem::replace(state, State::Closed) {
        State::Open(sender) => Some(sender),
        // A send that is under way puts nothing back then; its failure, if any, was left before.
        State::Sending(_) | State::Closed => None,
    }
}
