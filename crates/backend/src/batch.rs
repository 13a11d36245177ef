//! The requests of one execution, and executions that complete after `execute` has returned.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

use hippocamp_wake::wake_together;
use smallvec::SmallVec;

use crate::{ExecutionTimes, GpuNumber, ModelInstance, Request, Response};

type Requests = SmallVec<[Request; 8]>;

/// Requests that are executed together: a list from which a backend takes the requests that it answers. A model without
/// a batch dimension gets one request at a time.
#[derive(Debug, Default)]
pub struct Batch {
    requests: Requests,
    pending: Option<Pending>,
    started: Option<Instant>,
}

/// A batch that completes after [`ModelInstance::execute`] has returned: a list of requests that can be moved to
/// another thread, or to the callback of a stream. Dropping it completes the batch, and the instance may get its next
/// one.
///
/// Its owner answers the requests, as in `execute`. What is still in it at the end is treated as if `execute` had left it in its
/// batch. If it is dropped by a panic, the instance is made anew.
///
/// Completion must not depend on another call of the instance, because none is made before. For a movable instance it
/// must not depend on the thread that accepted the request either, because that thread may be waiting.
pub struct LateBatch {
    requests: Requests,
    complete: SyncSender<Completed>,
}

/// The result of an execution that completes later.
struct Completed {
    rest: Requests,
    panicked: bool,
}

/// Receives the end of an execution that completes later.
struct Pending(Receiver<Completed>);

/// How an execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The execution completed normally.
    Complete,
    /// The owner of the late batch panicked. The state of the instance may be inconsistent.
    Panicked,
}

impl Batch {
    /// A batch without requests.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Records and reports that an instance took the requests for execution at `at`. `gpu` is the GPU that it is on, if any.
    pub fn start(&mut self, at: Instant, gpu: Option<i32>) {
        self.started = Some(at);
        let gpu = gpu.and_then(GpuNumber::new);
        for request in &mut self.requests {
            request.response.context_mut().gpu = gpu;
            request.report_started(at);
        }
    }

    /// When an instance took the requests; now, if that was not recorded.
    pub fn started(&self) -> Instant {
        self.started.unwrap_or_else(Instant::now)
    }

    /// Moves all requests out, to be answered after `execute` has returned. The instance gets no further batch and
    /// keeps its rate limiter permit until the [`LateBatch`] is dropped. To be called at most once in each `execute`.
    #[must_use = "the batch is complete when this is dropped"]
    pub fn finish_later(&mut self) -> LateBatch {
        let (complete, pending) = sync_channel(1);
        self.pending = Some(Pending(pending));
        LateBatch { requests: std::mem::take(&mut self.requests), complete }
    }

    /// Executes the batch and waits until it is complete. Requests that the backend did not answer are then in the
    /// batch.
    pub fn execute_on<I: ModelInstance + ?Sized>(&mut self, instance: &mut I) -> Finish {
        instance.execute(self);
        self.wait()
    }

    /// Waits for an execution that completes later. Requests that were not answered are then in the batch.
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

/// Counts the execution of a batch by the sizes of its requests, and answers them all with a response each. Their tasks
/// are woken together. The requests end at `times.finished`.
pub fn answer(
    batch: &mut Batch,
    responses: impl IntoIterator<Item = Response, IntoIter: ExactSizeIterator>,
    times: &ExecutionTimes,
) {
    let size = batch.iter().map(|request| request.batch_size).sum();
    answer_as(batch, size, responses, times);
}

/// As [`answer`], for a backend that reports another batch size than the sum of its requests'.
pub fn answer_as(
    batch: &mut Batch,
    batch_size: usize,
    responses: impl IntoIterator<Item = Response, IntoIter: ExactSizeIterator>,
    times: &ExecutionTimes,
) {
    let responses = responses.into_iter();
    let Some(first) = batch.first() else { return };
    let together = batch.len() == responses.len()
        && batch.iter().all(|request| request.response.counts_with(&first.response));
    if together {
        let mut ended = batch.iter().map(|request| request.response.success(request.queued, times));
        first.response.count_batch(batch_size, times, &mut ended);
    } else {
        let nulls: usize = batch.iter().filter(|request| request.is_null()).map(|r| r.batch_size).sum();
        first.response.executed_rows(batch_size, batch_size.saturating_sub(nulls), times);
    }
    wake_together(batch.len(), || {
        for (request, response) in batch.drain(..).zip(responses) {
            if together {
                request.succeed_counted(response, times);
            } else {
                request.succeed(response, times);
            }
        }
    });
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
