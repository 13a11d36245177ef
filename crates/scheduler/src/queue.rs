//! The one queue of a model version.

use std::collections::VecDeque;
use std::time::Instant;

use hippocamp_backend::{Batch, Error, FailureReason, Request};
use parking_lot::{Condvar, Mutex};

use crate::policy::{BatchPolicy, Decision};

/// Requests that wait for an instance, oldest first. Pushed to by I/O tasks, pulled from by instance threads, under one
/// short lock.
#[derive(Debug)]
pub struct Queue {
    policy: BatchPolicy,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Request>,
    /// No more requests come; what waits is still executed.
    closed: bool,
    /// An instance is waiting for an incomplete batch to fill. Others sleep until they are called.
    filling: bool,
}

impl Queue {
    pub fn new(policy: BatchPolicy) -> Queue {
        Queue { policy, state: Mutex::default(), work: Condvar::new() }
    }

    /// Queues the request and returns at once. The answer arrives on the request's own sender, from an instance thread.
    /// Gives the request back if the queue is closed.
    pub fn push(&self, request: Request) -> Result<(), Box<Request>> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Box::new(request));
        }
        state.waiting.push_back(request);
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    /// How many requests wait.
    pub fn len(&self) -> usize {
        self.state.lock().waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets the instances go once they have executed what waits.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.work.notify_all();
    }

    /// Fills `batch`, which is empty, with the next batch, waiting for it as long as it takes. Requests whose client is
    /// gone are dropped on the way. False once the queue is closed and empty.
    pub fn pull(&self, batch: &mut Batch) -> bool {
        loop {
            let cancelled = self.pull_some(batch);
            // Answered outside of the lock; nobody listens, but they are counted.
            let nothing_left = cancelled.is_none();
            for request in cancelled.into_iter().flatten() {
                request.fail(Error::cancelled("the client cancelled the request"), FailureReason::Canceled);
            }
            if nothing_left || !batch.is_empty() {
                return !nothing_left;
            }
        }
    }

    /// Waits for a batch, or for cancelled requests, which it returns. `None` once the queue is closed and empty.
    fn pull_some(&self, batch: &mut Batch) -> Option<Vec<Request>> {
        let mut state = self.state.lock();
        loop {
            let cancelled = state.take_cancelled();
            if !cancelled.is_empty() {
                return Some(cancelled);
            }
            let Some(oldest) = state.waiting.front() else {
                if state.closed {
                    return None;
                }
                self.work.wait(&mut state);
                continue;
            };
            let queued = oldest.queued;
            let waited = Instant::now().saturating_duration_since(queued);
            match self.policy.decide(state.waiting.iter(), waited, state.closed) {
                Decision::Take(count) => {
                    batch.extend(state.waiting.drain(..count));
                    if !state.waiting.is_empty() {
                        self.work.notify_one();
                    }
                    return Some(Vec::new());
                }
                Decision::Wait(_) if state.filling => self.work.wait(&mut state),
                Decision::Wait(delay) => {
                    state.filling = true;
                    self.work.wait_until(&mut state, queued + delay);
                    state.filling = false;
                }
            }
        }
    }
}

impl State {
    /// Takes out what nobody waits for any more. Looks at the front only: what is behind a live request is looked at
    /// when it gets there.
    fn take_cancelled(&mut self) -> Vec<Request> {
        let mut cancelled = Vec::new();
        while self.waiting.front().is_some_and(Request::is_cancelled) {
            cancelled.extend(self.waiting.pop_front());
        }
        cancelled
    }
}

#[cfg(test)]
mod tests;
