//! Handover from one scheduler to the next: the instances of a model are used on under other settings, without being made
//! anew.
//!
//! The new scheduler is made beside the old one, with threads for those instances only that the old one does not have.
//! [`Scheduler::take_over`] then closes the old queue. What waits there is still executed, by the instances that always
//! did; each of them moves on to the new queue when it finds nothing more to do, or ends if the new scheduler has no place
//! for it. Requests that still come to the old scheduler are handed on.

use std::sync::{Arc, OnceLock};

use hippocamp_backend::{Model, Result};
use parking_lot::Mutex;

use crate::batcher::Batcher;
use crate::instance::Instance;
use crate::scheduler::Launch;
use crate::{InstancePlan, Queue, QueueSettings, Scheduler, Stopped};

/// What comes after a scheduler. Shared with its instance threads.
#[derive(Debug, Default)]
pub(crate) struct Handover(OnceLock<Successor>);

#[derive(Debug)]
struct Successor {
    scheduler: Arc<Scheduler>,
    next_instances: Mutex<NextInstances>,
}

/// What the instances of the old scheduler become in the new one, by their index in the old.
type NextInstances = Vec<Option<Instance>>;

/// A scheduler that was made and does not yet have its predecessor's instances.
#[derive(Debug)]
pub(crate) struct PendingHandover {
    from: Arc<Scheduler>,
    next_instances: NextInstances,
}

impl Handover {
    /// The scheduler that requests go to when this one takes none any more.
    pub(crate) fn next(&self) -> Option<&Arc<Scheduler>> {
        self.0.get().map(|successor| &successor.scheduler)
    }

    /// Everything that waited before has been taken for execution.
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
        let (scheduler, stopped) = launch.start()?;
        *scheduler.pending_handover.lock() = Some(PendingHandover { from: Arc::clone(old), next_instances });
        Ok((Arc::new(scheduler), stopped))
    }

    /// From here on this scheduler has the instances of the one before, which takes no requests any more but hands them
    /// on. Does nothing if no handover was prepared, or it is done already. Does not wait.
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
        // In this order: whoever finds the queue closed finds the next one.
        from.batcher.close();
    }
}

#[cfg(test)]
mod tests;
