//! The modules of a model, which hold its weights, shared by its instances where that changes nothing.
//!
//! Any number of threads may run a module at once, so instances share one, unless it keeps something from one run to the next: then
//! each has a module of its own, as in Triton.

use std::sync::Arc;

use hippocamp_backend::Result;
use parking_lot::Mutex;

use crate::error::Fault;
use crate::ffi::module::{Module, RunSettings};
use crate::ffi::outputs::Outputs;
use crate::values::Value;

/// A module, run by one thread at a time if it keeps something.
#[derive(Debug)]
pub(crate) struct Shared {
    module: Module,
    turn: Option<Mutex<()>>,
}

impl Shared {
    pub(crate) fn new(module: Module) -> Shared {
        let turn = module.facts.keeper.is_some().then(Mutex::default);
        Shared { module, turn }
    }

    pub(crate) fn module(&self) -> &Module {
        &self.module
    }

    /// Whether runs are independent of each other.
    pub(crate) fn keeps_nothing(&self) -> bool {
        self.turn.is_none()
    }

    pub(crate) fn run(&self, settings: RunSettings, values: &[Value<'_>]) -> Result<Outputs, Fault> {
        let _turn = self.turn.as_ref().map(|turn| turn.lock());
        self.module.run(settings, values)
    }
}

/// The module that the next instance gets.
#[derive(Debug)]
pub(crate) struct Modules {
    all_share_one: bool,
    next: Mutex<Option<Arc<Shared>>>,
}

impl Modules {
    /// Starts with the module that was loaded with the model.
    pub(crate) fn with_first(first: Shared, all_share_one: bool) -> Modules {
        Modules { all_share_one, next: Mutex::new(Some(Arc::new(first))) }
    }

    pub(crate) fn all_share_one(&self) -> bool {
        self.all_share_one
    }

    /// A module for one more instance: that of all, the first one, or a new one of `open`.
    pub(crate) fn get(&self, open: impl FnOnce() -> Result<Shared>) -> Result<Arc<Shared>> {
        let next = if self.all_share_one { self.next.lock().clone() } else { self.next.lock().take() };
        next.map_or_else(|| open().map(Arc::new), Ok)
    }
}
