//! The batcher of a model: a queue with dynamic batching, or the sequence batcher.

use hippocamp_backend::{Batch, Error, Request, WakeInstance};
use hippocamp_metrics::SizeHistogram;

use crate::Queue;
use crate::sequence_batcher::SequenceBatcher;

/// Accepts requests from I/O tasks and gives them to instance threads in batches.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a model has one, behind a pointer")]
pub(crate) enum Batcher {
    /// The default scheduler and the dynamic batcher: any instance takes any request.
    Dynamic(Queue),
    /// The requests of a sequence go to one instance.
    Sequence(SequenceBatcher),
}

impl Batcher {
    /// Queues the request and returns at once. A full queue rejects it through its own sender. A request that cannot be
    /// accepted is returned with the error.
    pub(crate) fn push(&self, request: Request) -> Result<(), Box<(Request, Error)>> {
        match self {
            Batcher::Dynamic(queue) => queue.push(request).map_err(closed),
            Batcher::Sequence(sequences) => sequences.push(request),
        }
    }

    /// As [`Batcher::push`], but returns whether the caller must wake an instance, soon and on every path.
    pub(crate) fn push_deferring_wake(&self, request: Request) -> Result<bool, Box<(Request, Error)>> {
        match self {
            Batcher::Dynamic(queue) => queue.push_deferring_wake(request).map_err(closed),
            Batcher::Sequence(sequences) => sequences.push(request).map(|()| false),
        }
    }

    /// Whether a request may bypass the batcher when an instance is idle. See [`Batcher::pass`].
    pub(crate) fn can_be_passed(&self) -> bool {
        match self {
            Batcher::Dynamic(queue) => queue.can_be_passed(),
            Batcher::Sequence(_) => false,
        }
    }

    /// Counts a request that bypasses the batcher. Returns false, and counts nothing, if others wait.
    pub(crate) fn pass(&self) -> bool {
        match self {
            Batcher::Dynamic(queue) => queue.pass(),
            Batcher::Sequence(_) => false,
        }
    }

    /// Waits for the next batch of the instance of this index and fills `batch`, which is empty. False once the batcher
    /// is closed and empty.
    pub(crate) fn pull(&self, instance: usize, batch: &mut Batch) -> bool {
        match self {
            Batcher::Dynamic(queue) => queue.pull(batch),
            Batcher::Sequence(sequences) => sequences.pull(instance, batch),
        }
    }

    /// Waits until that instance could pull a batch, without pulling it. False once the batcher is closed and empty.
    pub(crate) fn wait(&self, instance: usize) -> bool {
        match self {
            Batcher::Dynamic(queue) => queue.wait(),
            Batcher::Sequence(sequences) => sequences.wait(instance),
        }
    }

    /// Fills `batch`, which is empty, if there is a batch for that instance now.
    pub(crate) fn try_pull(&self, instance: usize, batch: &mut Batch) -> bool {
        match self {
            Batcher::Dynamic(queue) => queue.try_pull(batch),
            Batcher::Sequence(sequences) => sequences.try_pull(instance, batch),
        }
    }

    /// Whether there is a batch for that instance now.
    pub(crate) fn has_batch(&self, instance: usize) -> bool {
        match self {
            Batcher::Dynamic(queue) => queue.has_batch(),
            Batcher::Sequence(sequences) => sequences.has_batch(instance),
        }
    }

    /// Wakes another instance, because one that has [waited](Batcher::wait) for a batch cannot execute it yet.
    pub(crate) fn pass_on(&self) {
        if let Batcher::Dynamic(queue) = self {
            queue.pass_on();
        }
    }

    /// Empties a batch after its execution. Requests that an iterative backend left to be executed again are queued
    /// again.
    pub(crate) fn executed(&self, batch: &mut Batch) {
        match self {
            // A request that the backend left is answered when its sender is dropped.
            Batcher::Dynamic(_) => batch.clear(),
            Batcher::Sequence(sequences) => sequences.executed(batch),
        }
    }

    /// The instance of that index failed and will be recreated. Called before its batch is answered.
    pub(crate) fn instance_lost(&self, instance: usize) {
        if let Batcher::Sequence(sequences) = self {
            sequences.instance_lost(instance);
        }
    }

    /// How many requests wait.
    pub(crate) fn pending(&self) -> usize {
        match self {
            Batcher::Dynamic(queue) => queue.len(),
            Batcher::Sequence(sequences) => sequences.pending(),
        }
    }

    /// A histogram of the queue length that each new request found.
    pub(crate) fn depths(&self) -> SizeHistogram {
        match self {
            Batcher::Dynamic(queue) => queue.depths(),
            Batcher::Sequence(sequences) => sequences.depths(),
        }
    }

    /// Whether [`Batcher::keep_time`] has something to do.
    pub(crate) fn needs_timekeeper(&self) -> bool {
        match self {
            Batcher::Dynamic(queue) => queue.needs_timekeeper(),
            Batcher::Sequence(_) => false,
        }
    }

    /// Rejects or delays requests whose deadline has passed, even while every instance is busy. Runs on a thread of its
    /// own and returns once the batcher is closed and empty.
    pub(crate) fn keep_time(&self) {
        match self {
            Batcher::Dynamic(queue) => queue.keep_time(),
            Batcher::Sequence(_) => {}
        }
    }

    /// Accepts no more requests. Instances end once they have executed the waiting ones.
    pub(crate) fn close(&self) {
        match self {
            Batcher::Dynamic(queue) => queue.close(),
            Batcher::Sequence(sequences) => sequences.close(),
        }
    }
}

impl WakeInstance for Batcher {
    fn wake_instance(&self) {
        if let Batcher::Dynamic(queue) = self {
            queue.wake_instance();
        }
    }
}

/// Only its owner closes the queue, by dropping it; kept for the day that this changes.
#[cold]
fn closed(request: Box<Request>) -> Box<(Request, Error)> {
    Box::new((*request, Error::unavailable("the model is being unloaded")))
}
