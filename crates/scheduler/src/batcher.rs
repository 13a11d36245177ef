//! What stands between the requests of a model and its instances: one of the batchers.

use hippocamp_backend::{Batch, Error, Request, WakeInstance};
use hippocamp_metrics::SizeHistogram;

use crate::Queue;
use crate::sequence_batcher::SequenceBatcher;

/// Takes requests from I/O tasks and hands them to instance threads in batches.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a model has one, behind a pointer")]
pub(crate) enum Batcher {
    /// The default scheduler and the dynamic batcher: any instance takes any request.
    Dynamic(Queue),
    /// The requests of a sequence go to one instance.
    Sequence(SequenceBatcher),
}

impl Batcher {
    /// Queues the request and returns at once; answers it if the batcher has no room for it. Gives it back with
    /// the reason if it is not taken.
    pub(crate) fn push(&self, request: Request) -> Result<(), Box<(Request, Error)>> {
        match self {
            Batcher::Dynamic(queue) => queue.push(request).map_err(closed),
            Batcher::Sequence(sequences) => sequences.push(request),
        }
    }

    /// The same, but tells whether the caller has to wake an instance, soon and in any case.
    pub(crate) fn push_deferring_wake(&self, request: Request) -> Result<bool, Box<(Request, Error)>> {
        match self {
            Batcher::Dynamic(queue) => queue.push_deferring_wake(request).map_err(closed),
            Batcher::Sequence(sequences) => sequences.push(request).map(|()| false),
        }
    }

    /// Whether a request may go past, to an instance that is idle. See [`Batcher::pass`].
    pub(crate) fn can_be_passed(&self) -> bool {
        match self {
            Batcher::Dynamic(queue) => queue.can_be_passed(),
            Batcher::Sequence(_) => false,
        }
    }

    /// Counts a request that goes past, unless others wait.
    pub(crate) fn pass(&self) -> bool {
        match self {
            Batcher::Dynamic(queue) => queue.pass(),
            Batcher::Sequence(_) => false,
        }
    }

    /// Fills `batch`, which is empty, with the next batch for the instance of that index, waiting for it as long as it
    /// takes. False once there will be none any more.
    pub(crate) fn pull(&self, instance: usize, batch: &mut Batch) -> bool {
        match self {
            Batcher::Dynamic(queue) => queue.pull(batch),
            Batcher::Sequence(sequences) => sequences.pull(instance, batch),
        }
    }

    /// Waits until that instance could pull a batch, and leaves it. False once there will be none any more.
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

    /// An instance that has [waited](Batcher::wait) for a batch cannot execute it yet; another one may.
    pub(crate) fn pass_on(&self) {
        if let Batcher::Dynamic(queue) = self {
            queue.pass_on();
        }
    }

    /// Sees what a backend left in its batch, and empties it.
    pub(crate) fn executed(&self, batch: &mut Batch) {
        match self {
            // What a backend left behind is answered by its sender's drop.
            Batcher::Dynamic(_) => batch.clear(),
            Batcher::Sequence(sequences) => sequences.executed(batch),
        }
    }

    /// The instance of that index failed and will be made anew. Called before its batch is answered.
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

    /// How many requests each new one found waiting.
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

    /// Answers requests whose time is up, also while every instance is busy. Runs on a thread of its own, and returns
    /// once the batcher is closed and empty.
    pub(crate) fn keep_time(&self) {
        match self {
            Batcher::Dynamic(queue) => queue.keep_time(),
            Batcher::Sequence(_) => {}
        }
    }

    /// Lets the instances go once they have executed what waits.
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
