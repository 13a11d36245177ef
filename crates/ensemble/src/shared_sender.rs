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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::thread;
    use std::time::Instant;

    use hippocamp_backend::{Delivery, Event, Outlet, ResponseSink};

    use super::*;

    /// Says when a response came, and holds it until it is told to go on.
    #[derive(Debug)]
    struct Held {
        came: mpsc::Sender<&'static str>,
        go_on: mpsc::Receiver<()>,
    }

    impl ResponseSink for Held {
        fn deliver(&mut self, event: Event) {
            let what = match event {
                Event::Response { .. } => "response",
                Event::ResponseFailed(_) | Event::Failed(_) => "failed",
                Event::End => "end",
            };
            self.came.send(what).unwrap();
            if what == "response" {
                self.go_on.recv().unwrap();
            }
        }

        fn is_cancelled(&self) -> bool {
            false
        }
    }

    fn held() -> (Arc<WayOut>, mpsc::Receiver<&'static str>, mpsc::Sender<()>) {
        let (came, comes) = mpsc::channel();
        let (go, go_on) = mpsc::channel();
        let outlet = Outlet::to_sink(Delivery::Many, Box::new(Held { came, go_on }));
        let sender = ResponseSender::new(outlet, Instant::now(), Arc::default());
        (Arc::new(WayOut::new(sender)), comes, go)
    }

    #[test]
    fn nobody_who_fails_waits_for_a_response_that_is_held_back() {
        let (way_out, comes, go) = held();
        let sending = {
            let way_out = Arc::clone(&way_out);
            thread::spawn(move || way_out.send(Response::default()))
        };
        assert_eq!(comes.recv(), Ok("response"));
        assert!(!way_out.is_cancelled());
        way_out.fail(Error::internal("broken"), FailureReason::Other);
        way_out.fail(Error::internal("again"), FailureReason::Other);
        assert!(way_out.is_cancelled(), "nothing more shall be begun");
        assert!(comes.try_recv().is_err(), "not before the response is through");
        go.send(()).unwrap();
        sending.join().unwrap();
        assert_eq!(comes.iter().take(1).collect::<Vec<_>>(), ["failed"]);
        way_out.send(Response::default());
        assert!(way_out.close().is_none());
        drop(way_out);
        assert_eq!(comes.iter().count(), 0);
    }

    #[test]
    fn the_last_event_goes_through_once_whoever_is_first() {
        for _ in 0..200 {
            let (tx, mut rx) = hippocamp_backend::channel(Delivery::Many, Instant::now(), Arc::default());
            let way_out = Arc::new(WayOut::new(tx));
            thread::scope(|scope| {
                for number in 0..4 {
                    let way_out = &way_out;
                    scope.spawn(move || match number {
                        0 | 1 => way_out.send(Response::default()),
                        _ => way_out.fail(Error::internal("broken"), FailureReason::Other),
                    });
                }
            });
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let mut last = None;
            while let Some(event) = runtime.block_on(rx.next()) {
                assert!(last.is_none(), "nothing follows the last event");
                if event.is_last() {
                    last = Some(event);
                }
            }
            assert!(matches!(last, Some(Event::Failed(error)) if error.message() == "broken"));
        }
    }
}
