//! The batcher of a model: a queue with dynamic batching, or the sequence batcher.

use std::sync::Weak;
use std::time::{Duration, Instant};

use hippocamp_backend::{Batch, Error, Request, WakeInstance};
use hippocamp_metrics::SizeHistogram;
use tokio::sync::watch;

use crate::Queue;
use crate::clock::Timed;
use crate::parked_instances::ParkedInstances;
use crate::queue::{Pulled, Puller};
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

    /// The queue, if requests may bypass it when an instance is idle.
    pub(crate) fn queue_to_pass(&self) -> Option<&Queue> {
        match self {
            Batcher::Dynamic(queue) => Some(queue).filter(|queue| queue.can_be_passed()),
            Batcher::Sequence(_) => None,
        }
    }

    /// Waits for the next batch of an instance, or what else it waits for, and fills `batch`, which is empty.
    pub(crate) fn pull(&self, puller: Puller, batch: &mut Batch) -> Pulled {
        match self {
            Batcher::Dynamic(queue) => queue.pull_for(puller, batch),
            Batcher::Sequence(sequences) => sequences.pull(puller, batch),
        }
    }

    /// As [`Batcher::pull`], but waits only until that instance could pull a batch, without pulling it.
    pub(crate) fn wait(&self, puller: Puller) -> Pulled {
        match self {
            Batcher::Dynamic(queue) => queue.wait(puller),
            Batcher::Sequence(sequences) => sequences.wait(puller),
        }
    }

    /// Waits until no more requests are accepted, and leaves those that wait to other instances. False, at once, for sequences:
    /// nobody else has their state.
    pub(crate) fn stand_aside(&self) -> bool {
        match self {
            Batcher::Dynamic(queue) => {
                queue.wait_until_closed();
                true
            }
            Batcher::Sequence(_) => false,
        }
    }

    /// Whether an instance may leave requests to other instances: not those of sequences, whose state nobody else has.
    pub(crate) fn leaves_to_others(&self) -> bool {
        matches!(self, Batcher::Dynamic(_))
    }

    /// Leaves requests to other instances for a while. Returns whether no more are accepted.
    pub(crate) fn stand_aside_for(&self, pause: Duration) -> bool {
        match self {
            Batcher::Dynamic(queue) => queue.wait_until_closed_for(pause),
            Batcher::Sequence(_) => false,
        }
    }

    /// Whether a new instance parks at once, because there is nothing to do for it.
    pub(crate) fn parks(&self, instance: usize) -> bool {
        match self {
            Batcher::Dynamic(queue) => queue.parks(instance),
            Batcher::Sequence(sequences) => sequences.parks(instance),
        }
    }

    /// Where its instances park.
    pub(crate) fn parked_instances(&self) -> &ParkedInstances {
        match self {
            Batcher::Dynamic(queue) => queue.parked_instances(),
            Batcher::Sequence(sequences) => sequences.parked_instances(),
        }
    }

    /// Fills `batch`, which is empty, if there is a batch for that instance now.
    pub(crate) fn try_pull(&self, instance: usize, batch: &mut Batch) -> bool {
        match self {
            Batcher::Dynamic(queue) => queue.try_pull(batch),
            Batcher::Sequence(sequences) => sequences.try_pull(instance, batch),
        }
    }

    /// Fills `batch`, which is empty, if there is one for an instance that still executes the one before. Never one of sequences, whose
    /// requests may need what the one before gives.
    pub(crate) fn pull_behind(&self, batch: &mut Batch) -> bool {
        match self {
            Batcher::Dynamic(queue) => queue.pull_behind(batch),
            Batcher::Sequence(_) => false,
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

    /// Has the instance of that index look after itself, whether there is work or not.
    pub(crate) fn call(&self, instance: usize) {
        match self {
            Batcher::Dynamic(queue) => queue.call(instance),
            Batcher::Sequence(sequences) => sequences.call(instance),
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

    /// See [`Queue::owned_by`]. A sequence batcher is called by the clock without that.
    pub(crate) fn owned_by(&self, owner: Weak<dyn Timed>, alive: watch::Sender<()>) {
        if let Batcher::Dynamic(queue) = self {
            queue.owned_by(owner, alive);
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

impl Timed for Batcher {
    fn called(&self, at: Instant) -> Option<Instant> {
        match self {
            Batcher::Dynamic(queue) => queue.called(at),
            Batcher::Sequence(_) => None,
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
