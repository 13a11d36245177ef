//! [`LazyLoading`] itself and its state. The operations are in the other files.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use hippocamp_backend::Result;
use hippocamp_lifecycle::{EndObserver, Lifecycle};
use hippocamp_serving::LoadedModel;
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, Notify, watch};

use crate::lazy_models::LazyModels;
use crate::measured::Measured;
use crate::memory_budget::MemoryBudget;

/// Loads models when requests ask for them, and evicts others to stay within a memory budget.
#[derive(Debug)]
pub struct LazyLoading {
    /// A reference to itself, for the tasks that it spawns.
    pub(crate) this: Weak<LazyLoading>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    /// The state, locked only briefly. Lock order: this lock before that of the lifecycle's models.
    pub(crate) state: Mutex<State>,
    /// The lock held by the load that reserves memory; first come, first served.
    pub(crate) reserving: AsyncMutex<()>,
    /// Notified when memory was freed or the content of a model has settled.
    pub(crate) changed: Notify,
}

/// The part of the state that changes with each load.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) models: LazyModels,
    pub(crate) budget: MemoryBudget,
    pub(crate) measured: Measured,
    /// The running loads by model name, each with a channel to the requests that wait for it.
    pub(crate) loading: BTreeMap<String, watch::Sender<Option<Outcome>>>,
    /// The number of [`EvictionGuard`](crate::guard::EvictionGuard)s on each model.
    pub(crate) guarded: BTreeMap<String, usize>,
}

/// The result of a load: the versions that serve, or the error.
pub(crate) type Outcome = Result<Vec<Arc<LoadedModel>>>;

impl LazyLoading {
    /// Lazy loading for the models of `lifecycle`, within `budget` bytes of memory; `None` for no limit. No model is loaded
    /// lazily before [`LazyLoading::add_at_start`].
    pub fn new(lifecycle: Arc<Lifecycle>, budget: Option<u64>) -> Arc<LazyLoading> {
        let state = State { budget: MemoryBudget::new(budget), ..State::default() };
        let lazy = Arc::new_cyclic(|this| LazyLoading {
            this: Weak::clone(this),
            lifecycle,
            state: Mutex::new(state),
            reserving: AsyncMutex::default(),
            changed: Notify::new(),
        });
        let observer: Weak<dyn EndObserver> = lazy.this.clone();
        lazy.lifecycle.observe_ends(observer);
        lazy
    }

    /// Releases the reserved memory of those models that neither serve nor are being loaded.
    pub(crate) fn release_unloaded(&self, names: &[String]) {
        {
            let mut state = self.state.lock();
            for name in names {
                if !self.lifecycle.serves(name) && !state.guarded.contains_key(name) {
                    state.budget.release(name);
                }
            }
        }
        self.changed.notify_waiters();
    }
}

impl EndObserver for LazyLoading {
    fn ended(&self, names: &[String]) {
        {
            let mut state = self.state.lock();
            for name in names {
                state.budget.replaced(name);
            }
            // What loads now ends nothing else.
            if names.iter().any(|name| !state.guarded.contains_key(name)) {
                state.measured.changed(0);
            }
        }
        self.release_unloaded(names);
    }
}
