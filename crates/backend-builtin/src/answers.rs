//! What the decoupled backends have in common: threads that answer while the instance goes on, and limits.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use hippocamp_backend::{Delivery, Error, Request, Result};

/// How many requests an instance answers at the same time. The next one waits for the first of them.
const MAX_THREADS: usize = 64;

/// More than anybody waits for, and not enough to fill the memory with responses that nobody fetches.
const MAX_RESPONSES: usize = 100_000;

/// How often a delay looks whether the client is still there.
const SLICE: Duration = Duration::from_millis(20);

/// Threads that answer requests. All of them have ended when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct AnswerThreads(Vec<JoinHandle<()>>);

impl AnswerThreads {
    /// Answers on a thread of its own. False if none could be started: then `answer` is dropped, and with it the
    /// request, which answers it.
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

/// A thread that panicked dropped its request, which answered it.
fn join(thread: JoinHandle<()>) {
    drop(thread.join());
}

/// Whether a request may have as many responses as it asks for.
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

/// Whether the client stayed for all of it.
pub(crate) fn sleep_while_wanted(mut delay: Duration, request: &Request) -> bool {
    while !delay.is_zero() && !request.is_cancelled() {
        let slice = delay.min(SLICE);
        thread::sleep(slice);
        delay = delay.saturating_sub(slice);
    }
    !request.is_cancelled()
}
