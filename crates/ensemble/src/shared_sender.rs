//! The response sender of a run, shared by its steps.

use hippocamp_backend::{Error, FailureReason, Response, ResponseSender};
use parking_lot::Mutex;

/// The response sender of a request, which any of its steps may use. The last event is sent once, by the first that
/// closes it. Nothing is sent while `state` is locked, because sending may continue into an enclosing ensemble and
/// block there.
#[derive(Debug)]
pub(crate) struct SharedSender {
    state: Mutex<State>,
    /// Held while one of several responses is sent, so that other responses wait: that is back pressure, too.
    turn: Mutex<()>,
}

#[derive(Debug)]
enum State {
    Open(ResponseSender),
    /// A response is being sent. A failure meanwhile is stored here.
    Sending(Option<(Error, FailureReason)>),
    /// The last event is being sent or was sent.
    Closed,
}

impl SharedSender {
    pub(crate) fn new(sender: ResponseSender) -> SharedSender {
        SharedSender { state: Mutex::new(State::Open(sender)), turn: Mutex::new(()) }
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

    /// Sends an error, or leaves it to the thread that is just sending. Does nothing after the last event.
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

    /// Takes the sender for the last event; `None` after the last event.
    pub(crate) fn close(&self) -> Option<ResponseSender> {
        close(&mut self.state.lock())
    }

    /// Whether nobody waits for the response any more. While a response is being sent, only a stored failure counts.
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
        // A send in progress does not put the sender back then; a failure was stored before.
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

    /// A sink that reports each response and blocks until it may continue.
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

    fn held() -> (Arc<SharedSender>, mpsc::Receiver<&'static str>, mpsc::Sender<()>) {
        let (came, comes) = mpsc::channel();
        let (go, go_on) = mpsc::channel();
        let outlet = Outlet::to_sink(Delivery::Many, Box::new(Held { came, go_on }));
        let sender = ResponseSender::new(outlet, Instant::now(), Arc::default());
        (Arc::new(SharedSender::new(sender)), comes, go)
    }

    #[test]
    fn nobody_who_fails_waits_for_a_response_that_is_held_back() {
        let (shared_sender, comes, go) = held();
        let sending = {
            let shared_sender = Arc::clone(&shared_sender);
            thread::spawn(move || shared_sender.send(Response::default()))
        };
        assert_eq!(comes.recv(), Ok("response"));
        assert!(!shared_sender.is_cancelled());
        shared_sender.fail(Error::internal("broken"), FailureReason::Other);
        shared_sender.fail(Error::internal("again"), FailureReason::Other);
        assert!(shared_sender.is_cancelled(), "nothing more shall be begun");
        assert!(comes.try_recv().is_err(), "not before the response is through");
        go.send(()).unwrap();
        sending.join().unwrap();
        assert_eq!(comes.iter().take(1).collect::<Vec<_>>(), ["failed"]);
        shared_sender.send(Response::default());
        assert!(shared_sender.close().is_none());
        drop(shared_sender);
        assert_eq!(comes.iter().count(), 0);
    }

    #[test]
    fn the_last_event_goes_through_once_whoever_is_first() {
        for _ in 0..200 {
            let (tx, mut rx) = hippocamp_backend::channel(Delivery::Many, Instant::now(), Arc::default());
            let shared_sender = Arc::new(SharedSender::new(tx));
            thread::scope(|scope| {
                for number in 0..4 {
                    let shared_sender = &shared_sender;
                    scope.spawn(move || match number {
                        0 | 1 => shared_sender.send(Response::default()),
                        _ => shared_sender.fail(Error::internal("broken"), FailureReason::Other),
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
