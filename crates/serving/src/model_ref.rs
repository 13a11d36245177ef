//! References to loaded versions by requests.
//!
//! A reference is counted twice a request, and so are the observers. If all threads counted in the same place, its cache line
//! would move from core to core all the time. So each thread has a place of its own to count in.

use std::ops::Deref;
use std::sync::{Arc, LazyLock, OnceLock};

use hippocamp_backend::{Observers, ResponseReceiver, ResponseSink, Result};
use hippocamp_per_thread::thread_number;

use crate::{InferRequest, LoadedModel};

/// The highest number of threads that count by themselves.
const MAX_SLOTS: usize = 64;

/// A reference to a loaded version, which keeps it alive.
#[derive(Clone, Debug)]
pub struct ModelRef(Arc<Counted>);

/// What the references of one thread count.
#[derive(Debug)]
struct Counted {
    model: Arc<LoadedModel>,
    observers: Arc<Observers>,
}

impl From<Arc<LoadedModel>> for ModelRef {
    fn from(model: Arc<LoadedModel>) -> ModelRef {
        let observers = Arc::clone(&model.observers);
        ModelRef(Arc::new(Counted { model, observers }))
    }
}

impl Deref for ModelRef {
    type Target = Arc<LoadedModel>;

    fn deref(&self) -> &Arc<LoadedModel> {
        &self.0.model
    }
}

impl ModelRef {
    /// See [`LoadedModel::infer`].
    pub fn infer(&self, request: InferRequest<'_>) -> Result<ResponseReceiver> {
        self.0.model.infer_observed(request, &self.0.observers)
    }

    /// See [`LoadedModel::infer_and_wait`].
    pub fn infer_and_wait(&self, request: InferRequest<'_>) -> Result<ResponseReceiver> {
        self.0.model.infer_observed_and_wait(request, &self.0.observers)
    }
}

impl ModelRef {
    /// See [`LoadedModel::infer_into`].
    pub(crate) fn infer_into(&self, request: InferRequest<'_>, sink: Box<dyn ResponseSink>) -> Result<()> {
        self.0.model.infer_into(request, &self.0.observers, sink)
    }
}

/// A version in the routes, with the places in which threads count references to it.
#[derive(Debug)]
pub(crate) struct Routed {
    pub(crate) model: Arc<LoadedModel>,
    /// One for each slot, made by the first thread that needs it, in memory of that thread.
    slots: Box<[OnceLock<ModelRef>]>,
}

impl From<Arc<LoadedModel>> for Routed {
    fn from(model: Arc<LoadedModel>) -> Routed {
        Routed { model, slots: (0..slots()).map(|_| OnceLock::new()).collect() }
    }
}

impl Routed {
    /// A reference that is counted in this thread's place.
    pub(crate) fn refer(&self) -> ModelRef {
        let counted = || {
            let observers = Arc::new(Observers::clone(&self.model.observers));
            ModelRef(Arc::new(Counted { model: Arc::clone(&self.model), observers }))
        };
        self.slots[thread_number() % self.slots.len()].get_or_init(counted).clone()
    }
}

/// The number of places for each version: as many as threads run at a time.
fn slots() -> usize {
    static SLOTS: LazyLock<usize> = LazyLock::new(|| {
        std::thread::available_parallelism().map_or(1, usize::from).next_power_of_two().min(MAX_SLOTS)
    });
    *SLOTS
}
