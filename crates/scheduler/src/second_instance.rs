//! A second instance for a model with dynamic batching whose only one does not keep up, though its executions are short.
//!
//! Such an instance executes on one thread, while requests are read and answered by as many as there are cores. On eight of them it is what
//! limits a small model. If its model gives [more of them](Model::extra_instance), another one takes batches, too, from when the first
//! has often found many requests behind a batch until it has nothing to do. It looks only where so many wait that the first has enough left, so
//! that batches stay large. On four cores it would take time from those who read and answer, and nothing is gained.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hippocamp_backend::{Batch, InstanceSpec, Model};
use hippocamp_per_thread::parts;
use tracing::debug;

use crate::batcher::Batcher;
use crate::instance::{Instance, execute};
use crate::queue::Queue;
use crate::thread_cache;

/// The parts of a machine with more than four cores.
const PARTS: usize = 8;

/// How many more executions than not have to leave enough requests behind them.
pub(crate) const OFTEN: u32 = if cfg!(test) { 4 } else { 64 };

/// Executions are short up to this. The number of instances that a config gives bounds longer ones.
const SHORT: Duration = if cfg!(test) { Duration::from_hours(1) } else { Duration::from_millis(1) };

/// The second instance of a model, as its first one sees it. It ends when this is dropped.
pub(crate) struct SecondInstance<'a> {
    queue: &'a Queue,
    instance: &'a Instance,
    /// What executions took, on average.
    average: Duration,
    behind: u32,
    /// Set where there is one, or the model has been asked for one: tells it that it is over.
    over: Option<Arc<AtomicBool>>,
}

impl<'a> SecondInstance<'a> {
    /// `None` where there will never be one.
    pub(crate) fn of(instance: &'a Instance) -> Option<SecondInstance<'a>> {
        let Batcher::Dynamic(queue) = &*instance.batcher else { return None };
        let has_cores = cfg!(test) || parts() >= PARTS;
        let may_be = has_cores
            && queue.may_be_shared()
            && instance.peers.is_alone()
            && instance.plan.limited.is_none()
            && instance.plan.cores.is_all();
        may_be.then(|| SecondInstance { queue, instance, average: Duration::ZERO, behind: 0, over: None })
    }

    /// The time at which an execution of the first instance begins; `None` if there is a second one already.
    pub(crate) fn begins(&self) -> Option<Instant> {
        self.over.is_none().then(Instant::now)
    }

    /// Notes an execution of the first instance that began then. Has the second one made if that has to be.
    pub(crate) fn executed(&mut self, began: Instant) {
        if self.over.is_some() {
            return;
        }
        self.average = (self.average * 7 + began.elapsed()) / 8;
        self.behind =
            if self.queue.has_enough_for_two() { self.behind + 1 } else { self.behind.saturating_sub(1) };
        if self.behind >= OFTEN && self.average <= SHORT {
            self.start();
        }
    }

    #[cold]
    fn start(&mut self) {
        let over = Arc::default();
        self.over = Some(Arc::clone(&over));
        // Who waits for the end of the model waits for that thread, too.
        let Some(alive) = self.queue.alive() else { return };
        let Instance { plan, model, batcher, .. } = self.instance;
        let (spec, model, batcher) = (plan.spec.clone(), Arc::clone(model), Arc::clone(batcher));
        thread_cache::run_or_wait(spec.name.as_str().into(), move || {
            if let Batcher::Dynamic(queue) = &*batcher {
                serve(&*model, &spec, queue, &over);
            }
            drop((model, batcher));
            drop(alive);
        });
    }
}

impl Drop for SecondInstance<'_> {
    fn drop(&mut self) {
        if let Some(over) = &self.over {
            self.queue.end_second(over);
        }
    }
}

/// The life of a second instance. After a panic there is none until the first has paused.
fn serve(model: &dyn Model, spec: &InstanceSpec, queue: &Queue, over: &AtomicBool) {
    let mut instance = model.extra_instance(spec);
    if instance.is_some() {
        debug!(model = spec.config.name, "its only instance does not keep up: there is a second one");
    }
    let mut batch = Batch::new();
    while instance.is_some() && !over.load(Ordering::Relaxed) && queue.pull_second(&mut batch, over) {
        execute(spec, &mut instance, &mut batch, || {});
        // A request that the backend left in the batch is answered when its sender is dropped.
        batch.clear();
    }
}
