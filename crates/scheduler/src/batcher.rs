//! What stands between the requests of a model and its instances: one of the batchers.

use hippocamp_backend::{Batch, Request};

use crate::Queue;

/// Takes requests from I/O tasks and hands them to instance threads in batches.
#[derive(Debug)]
pub(crate) enum Batcher {
    /// The default scheduler and the dynamic batcher: any instance takes any request.
    Dynamic(Queue),
}

impl Batcher {
    /// Queues the request and returns at once. Gives it back if no more are taken.
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

    /// Lets the instances go once they have executed what waits.
    pub(crate) fn close(&self) {
        match self {
            Batcher::Dynamic(queue) => queue.close(),
        }
    }
}
