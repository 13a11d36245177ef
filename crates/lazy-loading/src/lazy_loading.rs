//! What the operations of lazy loading work on.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use hippocamp_backend::Result;
use hippocamp_lifecycle::{EndObserver, Lifecycle};
use hippocamp_serving::LoadedModel;
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, Notify, watch};

use crate::lazy_models::LazyModels;
use crate::memory_budget::MemoryBudget;

/// Loads models when requests ask for them, and unloads others to keep a memory budget.
#[derive(Debug)]
pub struct LazyLoading {
    /// For tasks that go on by themselves.
    pub(crate) this: Weak<LazyLoading>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    /// Locked for moments, and before the models of the lifecycle where both are.
    pub(crate) state: Mutex<State>,
    /// Held by the load that reserves memory: first come, first served.
    pub(crate) reserving: AsyncMutex<()>,
    /// Memory was freed, or a content has settled.
    pub(crate) changed: Notify,
}

/// What changes with each load.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) models: LazyModels,
    pub(crate) budget: MemoryBudget,
    /// Loads under way, with those who wait for them.
    pub(crate) loading: BTreeMap<String, watch::Sender<Option<Outcome>>>,
    /// By model how many loads need it to stay as it is.
    pub(crate) guarded: BTreeMap<String, usize>,
}

/// The versions that serve, or why none does.
pub(crate) type Outcome = Result<Vec<Arc<LoadedModel>>>;

impl LazyLoading {
    /// For the models of that lifecycle, within `budget` bytes; `None` for no limit. No model is loaded lazily before
    /// [`LazyLoading::add_at_start`].
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

    /// Releases the memory of those that do not serve, unless somebody loads them.
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
        }
        self.release_unloaded(names);
    }
}
