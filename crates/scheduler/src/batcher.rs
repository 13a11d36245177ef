//! What stands between the requests of a model and its instances: one of the batchers.

use hippocamp_backend::{Batch, Request};
use hippocamp_metrics::SizeHistogram;

use crate::Queue;

/// Takes requests from I/O tasks and hands them to instance threads in batches.
#[derive(Debug)]
pub(crate) enum Batcher {
    /// The default scheduler and the dynamic batcher: any instance takes any request.
    Dynamic(Queue),
}

impl Batcher {
    /// Queues the request and returns at once; answers it if the batcher has no room for it. Gives it back if no more
    /// are taken.
    pub(crate) fn push(&self, request: Request) -> Result<(), Box<Request>> {
        match self {
            Batcher::Dynamic(queue) => queue.push(request),
        }
    }

    /// Fills `batch`, which is empty, with the next batch for the instance of that index, waiting for it as long as it
    /// takes. False once there will be none any more.
    pub(crate) fn pull(&self, _instance: usize, batch: &mut Batch) -> bool {
        match self {
            Batcher::Dynamic(queue) => queue.pull(batch),
        }
    }

    /// How many requests wait.
    pub(crate) fn pending(&self) -> usize {
        match self {
            Batcher::Dynamic(queue) => queue.len(),
        }
    }

    /// How many requests each new one found waiting.
    pub(crate) fn depths(&self) -> SizeHistogram {
        match self {
            Batcher::Dynamic(queue) => queue.depths(),
        }
    }

    /// Whether [`Batcher::keep_time`] has something to do.
    pub(crate) fn needs_timekeeper(&self) -> bool {
        match self {
            Batcher::Dynamic(queue) => queue.needs_timekeeper(),
        }
    }

    /// Answers requests whose time is up, also while every instance is busy. Runs on a thread of its own, and returns
    /// once the batcher is closed and empty.
    pub(crate) fn keep_time(&self) {
        match self {
            Batcher::Dynamic(queue) => queue.keep_time(),
        }
    }

    /// Lets the instances go once they have executed what waits.
    pub(crate) fn close(&self) {
        match self {
            Batcher::Dynamic(queue) => queue.close(),
        }
    }
}
