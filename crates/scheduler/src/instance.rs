//! The life of an instance thread.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread;

use hippocamp_backend::{Batch, Error, FailureReason, InstanceSpec, Model, ModelInstance, Result};
use tracing::{debug, error};

use crate::batcher::Batcher;

/// As much as the main thread of a C program has: engines recurse deeply on large graphs. Only touched pages count.
const STACK_SIZE: usize = 8 << 20;

/// What an instance thread owns.
pub(crate) struct Instance {
    pub(crate) spec: InstanceSpec,
    pub(crate) model: Arc<dyn Model>,
    pub(crate) batcher: Arc<Batcher>,
    /// Dropped when the thread ends, which is how others learn of it.
    pub(crate) alive: tokio::sync::mpsc::Sender<()>,
}

impl Instance {
    /// Starts the thread. It reports on `made` whether the instance could be made, and ends if not.
    pub(crate) fn spawn(self, made: mpsc::Sender<Result<()>>) -> Result<()> {
        let name = self.spec.name.clone();
        let thread = thread::Builder::new().name(name.clone()).stack_size(STACK_SIZE);
        let started = thread.spawn(move || self.run(made));
        started.map(drop).map_err(|e| {
            Error::unavailable(format!("no thread could be started for instance '{name}': {e}"))
                .with_source(e)
        })
    }

    fn run(self, made: mpsc::Sender<Result<()>>) {
        let instance = self.make();
        let failed = instance.is_err();
        let (instance, report) = match instance {
            Ok(instance) => (Some(instance), Ok(())),
            Err(error) => (None, Err(error)),
        };
        // The loader may have given up waiting; then the queue is closed, too.
        drop(made.send(report));
        // It waits until every instance has let go of this.
        drop(made);
        if !failed {
            self.serve(instance);
        }
        let Instance { spec, model, batcher, alive } = self;
        // Whoever waits for the end wants the model's memory back by then.
        drop((model, batcher));
        debug!(instance = spec.name, "instance stopped");
        drop(alive);
    }

    /// Executes batches until there will be none any more. `None` stands for an instance that has to be made anew.
    fn serve(&self, mut instance: Option<Box<dyn ModelInstance>>) {
        let mut batch = Batch::new();
        while self.batcher.pull(self.spec.index, &mut batch) {
            let outcome = match instance.take().map_or_else(|| self.make(), Ok) {
                Ok(mut live) => {
                    let ran = catch_unwind(AssertUnwindSafe(|| live.execute(&mut batch)));
                    ran.map(|()| instance = Some(live)).map_err(|panic| {
                        self.batcher.instance_lost(self.spec.index);
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

    fn make(&self) -> Result<Box<dyn ModelInstance>> {
        catch_unwind(AssertUnwindSafe(|| self.model.new_instance(&self.spec)))
            .unwrap_or_else(|panic| Err(self.panicked(&*panic)))
    }

    #[cold]
    fn panicked(&self, panic: &(dyn Any + Send)) -> Error {
        let why = panic.downcast_ref::<&str>().copied();
        let why = why.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
        error!(instance = self.spec.name, "the backend panicked, the instance is made anew: {why}");
        Error::internal(format!("the backend of instance '{}' panicked: {why}", self.spec.name))
    }
}
