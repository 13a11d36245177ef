//! An instance thread: it creates its instance, executes batches, and ends or moves to the next scheduler.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use hippocamp_backend::{
    Batch, Error, FailureReason, Finish, InstanceSpec, Model, ModelInstance, MovableInstance, NewInstance,
    Request, Result,
};
use tracing::{debug, error};

use crate::batcher::Batcher;
use crate::handover::Handover;
use crate::inline_execution::{SharedInstance, Size};
use crate::{InstancePlan, RateLimited};

/// In bytes, as for the main thread of a C program: engines recurse deeply on large graphs. Untouched pages use no
/// memory.
const STACK_SIZE: usize = 8 << 20;

/// What an instance thread owns.
pub(crate) struct Instance {
    pub(crate) plan: InstancePlan,
    pub(crate) model: Arc<dyn Model>,
    pub(crate) batcher: Arc<Batcher>,
    /// Gives the instance its place in the next scheduler once the batcher is closed and empty.
    pub(crate) handover: Arc<Handover>,
    /// Holds the instance if inline execution is possible. Otherwise the thread owns it.
    pub(crate) shared: Option<Arc<SharedInstance>>,
    /// Dropped when the thread ends, which tells waiting owners that it has ended.
    pub(crate) alive: tokio::sync::watch::Sender<()>,
}

impl Instance {
    /// Starts the thread. The thread reports on `made` whether the instance could be created, and ends if not.
    pub(crate) fn spawn(self, made: mpsc::Sender<Result<()>>) -> Result<()> {
        let name = self.plan.spec.name.clone();
        let thread = thread::Builder::new().name(name.clone()).stack_size(STACK_SIZE);
        let started = thread.spawn(move || self.run(made));
        started.map(drop).map_err(|e| {
            Error::unavailable(format!("no thread could be started for instance '{name}': {e}"))
                .with_source(e)
        })
    }

    fn run(mut self, made: mpsc::Sender<Result<()>>) {
        let instance = self.plan.cores.bind_thread(&self.plan.spec.name).and_then(|()| self.first());
        let failed = instance.is_err();
        let (mut held, report) = match instance {
            Ok(held) => (held, Ok(())),
            Err(error) => (Held::Bound(None), Err(error)),
        };
        // The loader may have given up waiting; then the queue is closed, too.
        drop(made.send(report));
        // The loader waits until every instance has dropped its sender.
        drop(made);
        if !failed {
            self.serve(&mut held);
            // The instance stays on its thread and now serves the next scheduler, with a new name and new settings.
            while let Some(next) = self.handover.next_instance(self.plan.spec.index) {
                held = held.handed_on(next.shared.as_ref());
                self = next;
                self.serve(&mut held);
            }
        }
        let Instance { plan, model, batcher, handover, shared, alive } = self;
        // The model's memory has to be freed before the end of the thread is signalled.
        drop(held.taken());
        drop((model, batcher, handover, shared, plan.limited));
        debug!(model = plan.spec.config.name, instance = plan.spec.name, "instance stopped");
        drop(alive);
    }

    /// Creates the instance, and shares it if it can be moved between threads.
    fn first(&self) -> Result<Held> {
        Ok(match (self.make()?, &self.shared) {
            (NewInstance::Movable(instance), Some(shared)) => {
                *shared.lock() = Some(instance);
                Held::Shared(Arc::clone(shared))
            }
            (instance, _) => Held::Bound(Some(instance.into_box())),
        })
    }

    /// Executes batches until the batcher is closed and empty.
    fn serve(&self, held: &mut Held) {
        let mut batch = Batch::new();
        if let Some(limited) = &self.plan.limited {
            self.serve_limited(limited, held, &mut batch);
        } else {
            while self.batcher.pull(self.plan.spec.index, &mut batch) {
                self.execute_on(held, &mut batch);
            }
        }
        self.handover.drained();
    }

    /// Executes batches under the rate limiter. A batch stays in the queue and may grow until the resources are
    /// acquired. For each further batch the instance competes with the instances that waited in the meantime.
    fn serve_limited(&self, limited: &RateLimited, held: &mut Held, batch: &mut Batch) {
        let index = self.plan.spec.index;
        while self.batcher.wait(index) {
            let mut permit = limited.acquire(|| self.batcher.pass_on());
            while self.batcher.try_pull(index, batch) {
                permit.executes();
                self.execute_on(held, batch);
                if !self.batcher.has_batch(index) {
                    break;
                }
                permit.renew();
            }
        }
    }

    /// Executes a batch on the thread's own or the shared instance and waits until it is complete, so that the rate
    /// limiter's permit is held that long.
    fn execute_on(&self, held: &mut Held, batch: &mut Batch) {
        match held {
            Held::Shared(shared) => {
                let movable = &mut *shared.lock();
                let make = || match self.make()? {
                    NewInstance::Movable(instance) => Ok(instance),
                    NewInstance::Bound(_) => Err(stays(&self.plan.spec.name)),
                };
                let size = Size::of(batch.iter());
                shared.observe(size, self.execute(movable, make, batch));
            }
            Held::Bound(bound) => {
                self.execute(bound, || self.make().map(NewInstance::into_box), batch);
            }
        }
        self.batcher.executed(batch);
    }

    /// Executes a batch, and first recreates the instance if it is missing. Returns the start time; `None` if the
    /// instance could not be created and the batch failed.
    fn execute<I: ModelInstance + ?Sized>(
        &self,
        instance: &mut Option<Box<I>>,
        make: impl FnOnce() -> Result<Box<I>>,
        batch: &mut Batch,
    ) -> Option<Instant> {
        if instance.is_none() {
            match make() {
                Ok(anew) => *instance = Some(anew),
                Err(error) => {
                    fail(batch, &error);
                    return None;
                }
            }
        }
        let lost = || self.batcher.instance_lost(self.plan.spec.index);
        execute(&self.plan.spec, instance, batch, lost)
    }

    fn make(&self) -> Result<NewInstance> {
        catch_unwind(AssertUnwindSafe(|| self.model.new_instance(&self.plan.spec)))
            .unwrap_or_else(|panic| Err(panicked(&self.plan.spec, &*panic)))
    }
}

/// How a thread holds its instance.
enum Held {
    /// Owned by this thread. `None` if the instance has to be recreated.
    Bound(Option<Box<dyn ModelInstance>>),
    /// Shared with other threads under a lock.
    Shared(Arc<SharedInstance>),
}

impl Held {
    /// Moves the instance to the next scheduler, which shares it if `shared` is given.
    fn handed_on(self, shared: Option<&Arc<SharedInstance>>) -> Held {
        match (self, shared) {
            (Held::Shared(from), Some(to)) => {
                *to.lock() = from.lock().take();
                Held::Shared(Arc::clone(to))
            }
            (Held::Shared(from), None) => {
                let instance = from.lock().take();
                Held::Bound(instance.map(|instance| instance as Box<dyn ModelInstance>))
            }
            // A bound instance stays on its thread.
            (bound @ Held::Bound(_), _) => bound,
        }
    }

    /// Takes the instance out, to drop it.
    fn taken(self) -> Option<Box<dyn ModelInstance>> {
        match self.handed_on(None) {
            Held::Bound(instance) => instance,
            Held::Shared(_) => None,
        }
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("plan", &self.plan).finish_non_exhaustive()
    }
}

/// An instance for inline execution, as seen by threads that accept requests.
#[derive(Debug)]
pub(crate) struct InlineInstance {
    spec: InstanceSpec,
    pub(crate) shared: Arc<SharedInstance>,
}

impl InlineInstance {
    /// `None` if the plan or the batcher rules out inline execution. The model may still rule it out later.
    pub(crate) fn of(plan: &InstancePlan, batcher: &Batcher) -> Option<InlineInstance> {
        let possible = plan.limited.is_none() && plan.cores.is_all() && batcher.can_be_passed();
        possible.then(|| InlineInstance { spec: plan.spec.clone(), shared: Arc::default() })
    }

    /// Executes one request of this size. A panic drops the instance; its own thread recreates it for the next request.
    pub(crate) fn execute(&self, instance: &mut Option<MovableInstance>, request: Request, size: Size) {
        let mut batch = Batch::new();
        batch.push(request);
        self.shared.observe(size, execute(&self.spec, instance, &mut batch, || {}));
        // A request that the backend left in the batch is answered when its sender is dropped.
    }
}

/// Executes a batch and waits until it is complete. If the backend panics, the instance is dropped, `lost` is called,
/// and then every remaining request fails. Returns the start time of the execution, which is also the one that is
/// reported and counted.
fn execute<I: ModelInstance + ?Sized>(
    spec: &InstanceSpec,
    instance: &mut Option<Box<I>>,
    batch: &mut Batch,
    lost: impl FnOnce(),
) -> Option<Instant> {
    let live = instance.as_mut()?;
    let began = Instant::now();
    batch.start(began);
    let executed = catch_unwind(AssertUnwindSafe(|| live.execute(batch)));
    if executed.is_err() {
        // The instance may hold the unfinished batch, for which `wait` would block.
        *instance = None;
    }
    let error = match (batch.wait(), executed) {
        (Finish::Complete, Ok(())) => return Some(began),
        (_, Err(panic)) => panicked(spec, &*panic),
        (Finish::Panicked, Ok(())) => panicked(spec, &"while it finished a batch"),
    };
    *instance = None;
    lost();
    fail(batch, &error);
    Some(began)
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
