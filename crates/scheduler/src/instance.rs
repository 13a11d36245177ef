//! An instance and its thread: it is created, executes batches, parks while there are none if it can do that, and ends or
//! moves to the next scheduler.

mod begun;
mod recovery;
mod without_thread;

use std::any::Any;
use std::fmt;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use hippocamp_backend::{
    Batch, Error, FailureReason, InstanceSpec, Model, ModelInstance, NewInstance, Result,
};
use tracing::{debug, error, warn};

use crate::batcher::Batcher;
use crate::handover::Handover;
use crate::held::{Held, Movable};
use crate::inline_execution::{InlineInstance, Size, Taken};
use crate::mending::{Mending, Peers};
use crate::queue::{Pulled, Puller, Queue};
use crate::second_instance::SecondInstance;
use crate::turn::Turn;
use crate::{InstancePlan, RateLimited, thread_cache};
use begun::execute_by;

/// What belongs to an instance besides the backend's part of it.
pub(crate) struct Instance {
    pub(crate) plan: Arc<InstancePlan>,
    pub(crate) model: Arc<dyn Model>,
    pub(crate) batcher: Arc<Batcher>,
    /// Gives the instance its place in the next scheduler once the batcher is closed and empty.
    pub(crate) handover: Arc<Handover>,
    /// Holds the backend's part if inline execution is possible.
    pub(crate) inline: Option<Arc<InlineInstance>>,
    /// It and the other instances of its scheduler.
    pub(crate) peers: Arc<Peers>,
    /// What its thread does, and that it has not ended.
    pub(crate) turn: Arc<Turn>,
}

impl Instance {
    /// Creates the instance on a thread of its own, or on one of the cache if it needs no particular cores. The thread
    /// reports on `made` whether the instance could be created, and ends if not.
    pub(crate) fn spawn(self, made: mpsc::Sender<Result<()>>) -> Result<()> {
        let plan = Arc::clone(&self.plan);
        on_thread(&plan, move || self.begin(made))
    }

    /// Creates the instance, and serves with it.
    fn begin(self, made: mpsc::Sender<Result<()>>) {
        let spec = &self.plan.spec;
        let instance = self.plan.cores.bind_thread(&spec.name).and_then(|()| self.make());
        let (held, report) = match instance {
            Ok(instance) => (Some(Held::new(instance, self.inline.as_ref())), Ok(())),
            Err(error) => (None, Err(error)),
        };
        // The loader may have given up waiting; then the queue is closed, too.
        drop(made.send(report));
        // The loader waits until every instance has dropped its sender.
        drop(made);
        match held {
            None => self.end(None),
            // Models that nobody asks need no threads.
            Some(Held::Movable(held)) if self.may_park() && self.batcher.parks(self.plan.spec.index) => {
                if let Some(called) = self.park(held) {
                    called.instance.serve(Held::Movable(called.held));
                }
            }
            Some(held) => self.serve(held),
        }
    }

    /// Whether it may give its thread back, if the instance is movable.
    fn may_park(&self) -> bool {
        self.plan.cores.is_all()
    }

    /// Parks the instance, which has announced that. It is returned if it was called since.
    fn park(self, held: Movable) -> Option<Box<Parked>> {
        let batcher = Arc::clone(&self.batcher);
        batcher.parked_instances().park(Box::new(Parked { instance: self, held }))
    }

    /// Serves until the instance parks or ends.
    fn serve(mut self, mut held: Held) {
        loop {
            let pulled = self.execute_all(&mut held);
            if self.turn.is_left_alone() {
                warn!(instance = self.plan.spec.name, "an execution has returned that was given up");
                return held.end();
            }
            match (pulled, held) {
                (Pulled::Parks, Held::Movable(movable)) => {
                    let Some(called) = self.park(movable) else { return };
                    self = called.instance;
                    held = Held::Movable(called.held);
                }
                (_, rest) => {
                    self.handover.drained();
                    // The instance now serves the next scheduler, with a new name and new settings.
                    let Some(next) = self.handover.next_instance(self.plan.spec.index) else {
                        return self.end(Some(rest));
                    };
                    held = rest.handed_on(next.inline.as_ref());
                    let before = std::mem::replace(&mut self, next);
                    before.turn.end();
                }
            }
        }
    }

    fn end(self, held: Option<Held>) {
        let Instance { plan, model, batcher, handover, inline, peers: _, turn } = self;
        // The model's memory has to be freed before the end is signalled.
        if let Some(held) = held {
            held.end();
        }
        drop((model, batcher, handover, inline));
        debug!(model = plan.spec.config.name, instance = plan.spec.name, "instance stopped");
        drop(plan);
        turn.end();
    }

    /// Executes batches until the instance parks, or the batcher is closed and empty.
    fn execute_all(&self, held: &mut Held) -> Pulled {
        let mut batch = Batch::new();
        let mut mending = Mending::new(&self.peers);
        if let Some(error) = self.turn.take_lost() {
            mending.lost(|| error);
        }
        let parks = matches!(held, Held::Movable(_)) && self.may_park();
        self.watch(held);
        if let Some(limited) = &self.plan.limited {
            return self.execute_limited(limited, parks, held, &mut mending, &mut batch);
        }
        if let (Some(queue), Held::Movable(Movable::Shared(inline))) = (self.batcher.queue_to_pass(), &*held)
        {
            return self.execute_all_shared(queue, inline, parks, &mut mending, &mut batch);
        }
        let begins = matches!(&*self.batcher, Batcher::Dynamic(_)) && matches!(held, Held::Bound(_));
        let mut second = if parks { SecondInstance::of(self) } else { None };
        loop {
            if let Held::Bound(bound) = held
                && bound.as_ref().is_some_and(|instance| instance.has_begun())
            {
                if !self.go_on(bound, &mut mending, &mut batch) {
                    return Pulled::Closed;
                }
                continue;
            }
            if self.stands_aside() || self.mend(held, &mut mending) {
                return Pulled::Closed;
            }
            let pulled = self.batcher.pull(self.puller(parks, &mending), &mut batch);
            let stays = match (pulled, &mut *held) {
                (Pulled::Batch(()), Held::Bound(bound)) if begins => {
                    self.begin_on(bound, &mut mending, &mut batch)
                }
                (Pulled::Batch(()), held) => {
                    let began = second.as_ref().and_then(SecondInstance::begins);
                    let stays = self.execute_on(held, &mut mending, &mut batch);
                    if let (Some(second), Some(began)) = (&mut second, began) {
                        second.executed(began);
                    }
                    stays
                }
                (Pulled::Called, _) => true,
                (end, _) => return end,
            };
            if !stays {
                return Pulled::Closed;
            }
        }
    }

    /// Executes batches on an instance that it shares with other threads: it sleeps while one of them holds it. See
    /// `inline_execution.rs`.
    fn execute_all_shared(
        &self,
        queue: &Queue,
        inline: &InlineInstance,
        parks: bool,
        mending: &mut Mending<'_>,
        batch: &mut Batch,
    ) -> Pulled {
        loop {
            let puller = Puller { instance: self.plan.spec.index, parks, until: None };
            match queue.pull_with(puller, batch, || inline.try_lock()) {
                Pulled::Batch(mut taken) => {
                    let size = self.execute_shared(inline, &mut taken, mending, batch);
                    if self.turn.is_left_alone() {
                        return Pulled::Closed;
                    }
                    self.batcher.executed(batch);
                    inline.go_on(queue, &mut taken, size);
                }
                Pulled::Called => {}
                Pulled::Parks => return Pulled::Parks,
                Pulled::Closed => return Pulled::Closed,
            }
        }
    }

    fn puller(&self, parks: bool, mending: &Mending<'_>) -> Puller {
        Puller { instance: self.plan.spec.index, parks, until: mending.next_attempt() }
    }

    /// Executes batches under the rate limiter. A batch stays in the queue and may grow until the resources are
    /// acquired. For each further batch the instance competes with the instances that waited in the meantime.
    fn execute_limited(
        &self,
        limited: &RateLimited,
        parks: bool,
        held: &mut Held,
        mending: &mut Mending<'_>,
        batch: &mut Batch,
    ) -> Pulled {
        let index = self.plan.spec.index;
        loop {
            if self.stands_aside() || self.mend(held, mending) {
                return Pulled::Closed;
            }
            match self.batcher.wait(self.puller(parks, mending)) {
                Pulled::Batch(()) => {}
                Pulled::Called => continue,
                end => return end,
            }
            let mut permit = limited.acquire(|| self.batcher.pass_on());
            while self.batcher.try_pull(index, batch) {
                permit.executes();
                if !self.execute_on(held, mending, batch) {
                    // Its resources were taken back with the instance.
                    std::mem::forget(permit);
                    return Pulled::Closed;
                }
                if !self.batcher.has_batch(index) {
                    break;
                }
                permit.renew();
            }
        }
    }

    /// Executes a batch and waits until it is complete, so that the rate limiter's permit is held that long. False if the thread
    /// was left alone meanwhile.
    fn execute_on(&self, held: &mut Held, mending: &mut Mending<'_>, batch: &mut Batch) -> bool {
        match held {
            Held::Movable(Movable::Shared(inline)) => {
                self.execute_shared(inline, &mut inline.lock(), mending, batch);
            }
            Held::Movable(Movable::Own(own)) => {
                self.execute(own, || self.make_movable(), mending, batch);
            }
            Held::Bound(bound) => {
                self.execute(bound, || self.make().map(NewInstance::into_box), mending, batch);
            }
        }
        if self.turn.is_left_alone() {
            // Whatever is left of it was answered.
            batch.clear();
            return false;
        }
        self.batcher.executed(batch);
        true
    }

    /// Executes a batch on the shared instance, and returns how large it was.
    fn execute_shared(
        &self,
        inline: &InlineInstance,
        taken: &mut Taken<'_>,
        mending: &mut Mending<'_>,
        batch: &mut Batch,
    ) -> Size {
        let size = Size::of(batch.iter());
        let before = inline.latencies.before(size);
        if let Some(began) = self.execute(taken, || self.make_movable(), mending, batch) {
            inline.latencies.observe(size, before, began.elapsed());
        }
        size
    }

    /// Executes a batch, and first recreates the instance if it is missing or lost. Returns the start time; `None` if the
    /// instance could not be created and the batch failed.
    fn execute<I: ModelInstance + ?Sized>(
        &self,
        instance: &mut Option<Box<I>>,
        make: impl FnOnce() -> Result<Box<I>>,
        mending: &mut Mending<'_>,
        batch: &mut Batch,
    ) -> Option<Instant> {
        if let Err(error) = self.recover(instance, make, mending) {
            fail(batch, &error);
            return None;
        }
        let lost = || self.batcher.instance_lost(self.plan.spec.index);
        self.turn.begins();
        let began = execute(&self.plan.spec, instance, batch, lost);
        // Whoever has called this looks whether it was left alone.
        self.turn.ends();
        began
    }
}

/// An instance without a thread.
#[derive(Debug)]
pub(crate) struct Parked {
    instance: Instance,
    held: Movable,
}

impl Parked {
    /// The index of the instance.
    pub(crate) fn index(&self) -> usize {
        self.instance.plan.spec.index
    }

    /// Serves on a thread of the cache.
    pub(crate) fn start(self: Box<Self>) {
        let name = self.instance.plan.spec.name.as_str().into();
        thread_cache::run_or_wait(name, move || self.instance.serve(Held::Movable(self.held)));
    }
}

/// Does what an instance does on a thread of the cache, or on one of its own if it needs particular cores.
fn on_thread(plan: &InstancePlan, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let name = &plan.spec.name;
    let started = if plan.cores.is_all() {
        thread_cache::run(name.as_str().into(), work)
    } else {
        let thread = thread::Builder::new().name(name.clone()).stack_size(thread_cache::STACK_SIZE);
        thread.spawn(work).map(drop)
    };
    started.map_err(|e| {
        Error::unavailable(format!("no thread could be started for instance '{name}': {e}")).with_source(e)
    })
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("plan", &self.plan).finish_non_exhaustive()
    }
}

/// Executes a batch and waits until it is complete. If the backend panics, the instance is dropped, `lost` is called,
/// and then every remaining request fails. Returns the start time of the execution, which is also the one that is
/// reported and counted.
pub(crate) fn execute<I: ModelInstance + ?Sized>(
    spec: &InstanceSpec,
    instance: &mut Option<Box<I>>,
    batch: &mut Batch,
    lost: impl FnOnce(),
) -> Option<Instant> {
    execute_by(spec, instance, batch, I::execute, lost)
}

fn fail(batch: &mut Batch, error: &Error) {
    for request in batch.drain(..) {
        request.fail(error.clone(), FailureReason::Backend);
    }
}

#[cold]
fn panicked(InstanceSpec { name, config, .. }: &InstanceSpec, panic: &(dyn Any + Send)) -> Error {
    let why = panic.downcast_ref::<&str>().copied();
    let why = why.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    error!(model = config.name, instance = name, "the backend panicked, the instance is made anew: {why}");
    Error::internal(format!("the backend of instance '{name}' panicked: {why}"))
}

#[cold]
fn stays(name: &str) -> Error {
    Error::internal(format!("instance '{name}' was movable and is not any more"))
}
