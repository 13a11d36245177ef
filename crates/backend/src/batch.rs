//! The requests of one execution, and what holds their instance until the last of them is done.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

use smallvec::SmallVec;

use crate::{ExecutionTimes, ModelInstance, Request};

type Requests = SmallVec<[Request; 8]>;

/// Requests that are executed together. A model without a batch dimension gets them one at a time. It is a list of requests,
/// from which a backend takes those that it answers.
#[derive(Debug, Default)]
pub struct Batch {
    requests: Requests,
    pending: Option<Pending>,
    started: Option<Instant>,
}

/// A batch whose execution goes on after [`ModelInstance::execute`] has returned: a list of requests that can be moved to
/// another thread, or to the callback of a stream. Dropping it completes the batch: then the instance may get its next one.
///
/// Its owner answers the requests, as in `execute`. What is still in it at the end is treated as if `execute` had left it in its
/// batch. If it is dropped by a panic, the instance is made anew.
///
/// Completing it must not depend on another call of the instance, which does not come before; nor, for a movable instance, on
/// the thread that took the request in, which may be the one that waits.
pub struct LateBatch {
    requests: Requests,
    complete: SyncSender<Completed>,
}

/// What an execution that goes on later ends with.
struct Completed {
    rest: Requests,
    panicked: bool,
}

/// The end of an execution that goes on.
struct Pending(Receiver<Completed>);

/// How an execution ended that went on after `execute` had returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// As it should, if it went on at all.
    Complete,
    /// Whoever had the batch panicked. What the instance keeps may be half of something.
    Panicked,
}

impl Batch {
    /// Without requests.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Notes and reports that an instance took the requests for execution at `at`.
    pub fn start(&mut self, at: Instant) {
        self.started = Some(at);
        for request in &mut self.requests {
            request.report_started(at);
        }
    }

    /// When an instance took the requests; now, if nobody noted it.
    pub fn started(&self) -> Instant {
        self.started.unwrap_or_else(Instant::now)
    }

    /// Hands all requests over, to be answered after `execute` has returned. The instance, what it holds of the rate limiter
    /// and its place in the queue are kept until the [`LateBatch`] is dropped. For one call within an `execute`.
    #[must_use = "the batch is complete when this is dropped"]
    pub fn finish_later(&mut self) -> LateBatch {
        let (complete, pending) = sync_channel(1);
        self.pending = Some(Pending(pending));
        LateBatch { requests: std::mem::take(&mut self.requests), complete }
    }

    /// Executes the batch and waits until that is complete. What the backend left is in it then.
    pub fn execute_on<I: ModelInstance + ?Sized>(&mut self, instance: &mut I) -> Finish {
        instance.execute(self);
        self.wait()
    }

    /// Waits until the execution is complete, if it goes on. What was left is in the batch then.
    pub fn wait(&mut self) -> Finish {
        let Some(Pending(pending)) = self.pending.take() else { return Finish::Complete };
        // It cannot end without a word, as its drop says it.
        let Ok(Completed { rest, panicked }) = pending.recv() else { return Finish::Panicked };
        self.requests.extend(rest);
        if panicked { Finish::Panicked } else { Finish::Complete }
    }
}

/// Counts the execution of a batch by the sizes of its requests. Null requests have a share in the batch size, as in
/// Triton, but are no inferences.
pub fn count_execution(batch: &[Request], times: &ExecutionTimes) {
    let Some(first) = batch.first() else { return };
    let size = |requests: &mut dyn Iterator<Item = &Request>| requests.map(|r| r.batch_size).sum();
    let all: usize = size(&mut batch.iter());
    let inferences: usize = size(&mut batch.iter().filter(|r| !r.is_null()));
    first.response.executed_rows(all, inferences, times);
}

impl Deref for Batch {
    type Target = SmallVec<[Request; 8]>;

    fn deref(&self) -> &Requests {
        &self.requests
    }
}

impl DerefMut for Batch {
    fn deref_mut(&mut self) -> &mut Requests {
        &mut self.requests
    }
}

impl FromIterator<Request> for Batch {
    fn from_iter<I: IntoIterator<Item = Request>>(requests: I) -> Batch {
        Batch { requests: requests.into_iter().collect(), ..Batch::default() }
    }
}

impl Extend<Request> for Batch {
    fn extend<I: IntoIterator<Item = Request>>(&mut self, requests: I) {
        self.requests.extend(requests);
    }
}

impl IntoIterator for Batch {
    type Item = Request;
    type IntoIter = smallvec::IntoIter<[Request; 8]>;

    fn into_iter(self) -> Self::IntoIter {
        self.requests.into_iter()
    }
}

impl Deref for LateBatch {
    type Target = SmallVec<[Request; 8]>;

    fn deref(&self) -> &Requests {
        &self.requests
    }
}

impl DerefMut for LateBatch {
    fn deref_mut(&mut self) -> &mut Requests {
        &mut self.requests
    }
}

impl Drop for LateBatch {
    fn drop(&mut self) {
        let completed = Completed { rest: std::mem::take(&mut self.requests), panicked: thread::panicking() };
        // Nobody may wait any more, such as a server that gave up. The requests are answered by their own drop then.
        drop(self.complete.try_send(completed));
    }
}

impl fmt::Debug for LateBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LateBatch").field("requests", &self.requests).finish_non_exhaustive()
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}
