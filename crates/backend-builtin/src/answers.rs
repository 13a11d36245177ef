//! What the decoupled backends share: threads that send responses while the instance continues, and limits.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use hippocamp_backend::{Delivery, Error, Request, Result};

/// The most requests that an instance answers at once. A further one waits for the oldest.
const MAX_THREADS: usize = 64;

/// The most responses a request, so that responses that nobody reads cannot exhaust the memory.
const MAX_RESPONSES: usize = 100_000;

/// How often a sleeping thread checks whether the client is still there.
const SLICE: Duration = Duration::from_millis(20);

/// Threads that send responses. Dropping it joins all of them.
#[derive(Debug, Default)]
pub(crate) struct AnswerThreads(Vec<JoinHandle<()>>);

impl AnswerThreads {
    /// Runs `answer` on a new thread. False if none could be started: then `answer` is dropped, and the dropped request
    /// answers itself.
    pub(crate) fn start(&mut self, name: &str, answer: impl FnOnce() + Send + 'static) -> bool {
        self.0.retain(|thread| !thread.is_finished());
        if self.0.len() >= MAX_THREADS {
            join(self.0.remove(0));
        }
        let thread = thread::Builder::new().name(name.to_owned()).spawn(answer);
        thread.map(|thread| self.0.push(thread)).is_ok()
    }
}

impl Drop for AnswerThreads {
    fn drop(&mut self) {
        self.0.drain(..).for_each(join);
    }
}

/// A thread that panicked has dropped its request, which answered itself.
fn join(thread: JoinHandle<()>) {
    drop(thread.join());
}

/// Checks that a request does not ask for too many responses.
pub(crate) fn check_count(model: &str, request: &Request, count: usize) -> Result<()> {
    if request.response.delivery() == Delivery::Once && count != 1 {
        return Err(Error::invalid_arg(format!(
            "model '{model}' is not decoupled and gives one response, {count} were asked for"
        )));
    }
    if count > MAX_RESPONSES {
        return Err(Error::invalid_arg(format!(
            "model '{model}' gives at most {MAX_RESPONSES} responses, {count} were asked for"
        )));
    }
    Ok(())
}

/// Sleeps for `delay`. False if the client went away meanwhile.
pub(crate) fn sleep_while_wanted(mut delay: Duration, request: &Request) -> bool {
    while !delay.is_zero() && !request.is_cancelled() {
        let slice = delay.min(SLICE);
        thread::sleep(slice);
        delay = delay.saturating_sub(slice);
    }
    !request.is_cancelled()
}
