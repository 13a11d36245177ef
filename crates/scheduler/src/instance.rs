//! The life of an instance thread.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread;

use hippocamp_backend::{Batch, Error, FailureReason, Model, ModelInstance, Request, Result};
use tracing::{debug, error};

use crate::InstancePlan;
use crate::batcher::Batcher;
use crate::rate_limiter::Permit;
use crate::succession::Succession;
use crate::waiting::cancelled;

/// As much as the main thread of a C program has: engines recurse deeply on large graphs. Only touched pages count.
const STACK_SIZE: usize = 8 << 20;

/// What an instance thread owns.
pub(crate) struct Instance {
    pub(crate) plan: InstancePlan,
    pub(crate) model: Arc<dyn Model>,
    pub(crate) batcher: Arc<Batcher>,
    /// Where it goes on when the batcher has nothing more for it.
    pub(crate) succession: Arc<Succession>,
    /// Dropped when the thread ends, which is how others learn of it.
    pub(crate) alive: tokio::sync::watch::Sender<()>,
}

impl Instance {
    /// Starts the thread. It reports on `made` whether the instance could be made, and ends if not.
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
        let instance = self.plan.cores.bind_thread(&self.plan.spec.name).and_then(|()| self.make());
        let failed = instance.is_err();
        let (mut instance, report) = match instance {
            Ok(instance) => (Some(instance), Ok(())),
            Err(error) => (None, Err(error)),
        };
        // The loader may have given up waiting; then the queue is closed, too.
        drop(made.send(report));
        // It waits until every instance has let go of this.
        drop(made);
        if !failed {
            self.serve(&mut instance);
            // It stays on its thread, and is now another's: the same instance, with a new name and new settings.
            while let Some(heir) = self.succession.heir(self.plan.spec.index) {
                self = heir;
                self.serve(&mut instance);
            }
        }
        drop(instance);
        let Instance { plan, model, batcher, succession, alive } = self;
        // Whoever waits for the end wants the model's memory back by then.
        drop((model, batcher, succession, plan.limited));
        debug!(instance = plan.spec.name, "instance stopped");
        drop(alive);
    }

    /// Executes batches until there will be none any more. `None` stands for an instance that has to be made anew.
    fn serve(&self, instance: &mut Option<Box<dyn ModelInstance>>) {
        let mut batch = Batch::new();
        while self.batcher.pull(self.plan.spec.index, &mut batch) {
            let _permit = self.permit(&mut batch);
            if batch.is_empty() {
                continue;
            }
            let outcome = match instance.take().map_or_else(|| self.make(), Ok) {
                Ok(mut live) => {
                    let ran = catch_unwind(AssertUnwindSafe(|| live.execute(&mut batch)));
                    ran.map(|()| *instance = Some(live)).map_err(|panic| {
                        self.batcher.instance_lost(self.plan.spec.index);
                        self.panicked(&*panic)
                    })
                }
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                for request in batch.drain(..) {
                    request.fail(error.clone(), FailureReason::Backend);
                }
            }
            self.batcher.executed(&mut batch);
        }
    }

    /// Waits for the resources to execute the batch, if the instance needs any. Who gave up meanwhile is left out.
    fn permit(&self, batch: &mut Batch) -> Option<Permit<'_>> {
        let permit = self.plan.limited.as_ref()?.acquire();
        // A batch of sequences is complete as it is: each request has its place there.
        if !self.batcher.keeps_places() && batch.iter().any(Request::is_cancelled) {
            for request in std::mem::take(batch) {
                if request.is_cancelled() {
                    cancelled(request);
                } else {
                    batch.push(request);
                }
            }
        }
        Some(permit)
    }

    fn make(&self) -> Result<Box<dyn ModelInstance>> {
        catch_unwind(AssertUnwindSafe(|| self.model.new_instance(&self.plan.spec)))
            .unwrap_or_else(|panic| Err(self.panicked(&*panic)))
    }

    #[cold]
    fn panicked(&self, panic: &(dyn Any + Send)) -> Error {
        let why = panic.downcast_ref::<&str>().copied();
        let why = why.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
        error!(instance = self.plan.spec.name, "the backend panicked, the instance is made anew: {why}");
        Error::internal(format!("the backend of instance '{}' panicked: {why}", self.plan.spec.name))
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("plan", &self.plan).finish_non_exhaustive()
    }
}
