//! Handover from one scheduler to the next: the instances of a model are reused under other settings.
//!
//! The new scheduler is made beside the old one, with threads for those instances only that the old one does not have.
//! [`Scheduler::take_over`] then closes the old queue. The requests that wait there are still executed by the old
//! scheduler's instances. When the old queue is empty, each instance moves to the new queue, or ends if the new
//! scheduler has no place for it. Requests that still reach the old scheduler are forwarded to the new one.

use std::sync::{Arc, OnceLock};

use hippocamp_backend::{Model, Result};
use parking_lot::Mutex;

use crate::batcher::Batcher;
use crate::instance::Instance;
use crate::scheduler::Launch;
use crate::{InstancePlan, Queue, QueueSettings, Scheduler, Stopped};

/// The successor of a scheduler, once it is set. Shared with the instance threads.
#[derive(Debug, Default)]
pub(crate) struct Handover(OnceLock<Successor>);

#[derive(Debug)]
struct Successor {
    scheduler: Arc<Scheduler>,
    next_instances: Mutex<NextInstances>,
}

/// The new scheduler's instances that reuse an old one, by the index of the old instance.
type NextInstances = Vec<Option<Instance>>;

/// A prepared handover: the new scheduler does not yet have the instances of the old one.
#[derive(Debug)]
pub(crate) struct PendingHandover {
    from: Arc<Scheduler>,
    next_instances: NextInstances,
}

impl Handover {
    /// The scheduler to which requests are forwarded after this one was closed.
    pub(crate) fn next(&self) -> Option<&Arc<Scheduler>> {
        self.0.get().map(|successor| &successor.scheduler)
    }

    /// Opens the next queue: every request of the old queue has been pulled for execution.
    pub(crate) fn drained(&self) {
        if let Some(next) = self.next()
            && let Batcher::Dynamic(queue) = &*next.batcher
        {
            queue.open();
        }
    }

    /// What the instance of that index becomes next. `None` if it ends: there is no successor, or no place in it.
    pub(crate) fn next_instance(&self, instance: usize) -> Option<Instance> {
        self.0.get()?.next_instances.lock().get_mut(instance)?.take()
    }
}

impl Scheduler {
    /// Makes a scheduler that will take over the instances of `old`, as far as they are where `plans` wants some: on that
    /// device and those cores. Makes those that are missing, and waits until each is ready. Nothing happens to `old`
    /// before [`Scheduler::take_over`], and nothing at all if the new one is dropped instead. `old` is not
    /// [of sequences](Scheduler::is_of_sequences), and no other handover from it is prepared meanwhile.
    ///
    /// # Errors
    /// That of an instance that cannot be made.
    pub fn prepare_handover(
        old: &Arc<Scheduler>,
        model: &Arc<dyn Model>,
        plans: Vec<InstancePlan>,
        queue: QueueSettings,
    ) -> Result<(Arc<Scheduler>, Stopped)> {
        let queue = match &*old.batcher {
            Batcher::Dynamic(before) => Queue::following(queue, before),
            Batcher::Sequence(_) => Queue::new(queue),
        };
        let mut launch = Launch::new(model, plans, Batcher::Dynamic(queue));
        let mut next_instances: NextInstances = Vec::new();
        next_instances.resize_with(old.places.len(), || None);
        let mut missing = Vec::new();
        for instance in std::mem::take(&mut launch.instances) {
            let wanted = instance.plan.place();
            let found = old
                .places
                .iter()
                .zip(&next_instances)
                .position(|(place, next)| *place == wanted && next.is_none());
            match found {
                Some(index) => next_instances[index] = Some(instance),
                None => missing.push(instance),
            }
        }
        launch.instances = missing;
        let (scheduler, stopped) = match launch.start() {
            Ok(started) => started,
            Err(failed) => {
                // They count as instances of the launch, and nobody starts them any more.
                drop(next_instances);
                return Err(failed.ended());
            }
        };
        *scheduler.pending_handover.lock() = Some(PendingHandover { from: Arc::clone(old), next_instances });
        Ok((Arc::new(scheduler), stopped))
    }

    /// Completes the prepared handover: the old scheduler is closed and forwards its requests to this one, which gets
    /// its instances as they become free. Does nothing if no handover is pending. Does not block.
    pub fn take_over(self: &Arc<Self>) {
        let Some(PendingHandover { from, next_instances }) = self.pending_handover.lock().take() else {
            return;
        };
        if let (Batcher::Dynamic(queue), Batcher::Dynamic(before)) = (&*self.batcher, &*from.batcher) {
            queue.bar_behind(before);
        }
        let successor = Successor { scheduler: Arc::clone(self), next_instances: Mutex::new(next_instances) };
        let first = from.handover.0.set(successor).is_ok();
        debug_assert!(first, "one load of a model at a time");
        // The successor is set before the queue is closed, so that a caller that finds the queue closed finds the
        // successor.
        from.batcher.close();
    }
}

#[cfg(test)]
mod tests;
