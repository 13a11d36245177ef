//! What a load needs of the memory budget, and whether it can have it now.

use std::collections::BTreeSet;
use std::sync::Arc;

use hippocamp_backend::Error;
use hippocamp_lifecycle::{Activity, ServingModel};

use crate::eviction::{Candidate, Hold, choose};
use crate::footprint::Part;
use crate::guard::EvictionGuard;
use crate::lazy_loading::{LazyLoading, State};
use crate::memory_budget::MemoryBudget;

/// Models that are to be loaded together.
#[derive(Clone, Copy)]
pub(crate) struct Reservation<'a> {
    /// The name for messages.
    pub(crate) asked: &'a str,
    /// The models and all that they are composed of.
    pub(crate) parts: &'a [Part],
    /// Those of them that are loaded beside themselves as they serve: each needs memory twice until what it replaces is
    /// free. If its load fails, the budget has to be told by [`MemoryBudget::replaced`].
    pub(crate) reloaded: &'a BTreeSet<String>,
}

/// What there is to do for a reservation.
pub(crate) enum Decision {
    /// The memory is reserved, and nothing of it may be evicted.
    Reserved(EvictionGuard),
    /// These have to end first, in this order.
    Evict(Vec<String>),
    /// Memory comes back when requests end.
    Wait,
    Refused(Error),
}

/// Which reasons keep a model from being evicted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reasons {
    /// All that there are now.
    Now,
    /// Only those that will not end by themselves.
    Lasting,
}

impl Reservation<'_> {
    /// Reserves the memory if it is there. `slow` says that what is being released takes long: others are evicted beside it.
    pub(crate) fn decide(self, lazy: &Arc<LazyLoading>, slow: bool) -> Decision {
        let mut state = lazy.state.lock();
        let need = self.need(&state.budget);
        let missing = state.budget.missing_for(need);
        if missing == 0 {
            self.reserve(&mut state.budget);
            let names = self.parts.iter().map(|part| part.name.clone()).collect();
            return Decision::Reserved(EvictionGuard::with_state(lazy, &mut state, names));
        }
        let limit = state.budget.limit().unwrap_or(u64::MAX);
        if self.size() > limit {
            return Decision::Refused(self.too_large(limit));
        }
        let serving = lazy.lifecycle.serving_models();
        let coming = if slow { 0 } else { state.budget.releasing() };
        let now = self.candidates(&state, &serving, Reasons::Now);
        match choose(now, missing.saturating_sub(coming)) {
            Some(names) if names.is_empty() => return Decision::Wait,
            Some(names) => return Decision::Evict(names),
            None => {}
        }
        // What is being loaded for others, or held by requests, may be evicted later.
        let later = self.candidates(&state, &serving, Reasons::Lasting);
        let settled: u64 = later.iter().map(|candidate| candidate.bytes).fold(0, u64::saturating_add);
        let moving = state.budget.used().saturating_sub(settled);
        if choose(later, missing.saturating_sub(moving)).is_some() {
            return Decision::Wait;
        }
        Decision::Refused(self.all_stays(need, limit, state.budget.used()))
    }

    /// How many bytes it takes beside what its models hold already.
    fn need(self, budget: &MemoryBudget) -> u64 {
        let of_part = |part: &Part| match budget.needed_to_reload(&part.name, part.bytes) {
            None => part.bytes,
            Some(beside) if self.reloaded.contains(&part.name) => beside,
            Some(_) => 0,
        };
        self.parts.iter().map(of_part).fold(0, u64::saturating_add)
    }

    fn reserve(self, budget: &mut MemoryBudget) {
        for part in self.parts {
            match budget.needed_to_reload(&part.name, part.bytes) {
                None => budget.hold(&part.name, part.bytes),
                Some(beside) if self.reloaded.contains(&part.name) => budget.reload(&part.name, beside),
                Some(_) => {}
            }
        }
    }

    /// How many bytes all of its models take.
    fn size(self) -> u64 {
        self.parts.iter().map(|part| part.bytes).fold(0, u64::saturating_add)
    }

    /// What serves, without its own models: none of them is evicted for another one.
    fn candidates(self, state: &State, serving: &[ServingModel], reasons: Reasons) -> Vec<Candidate> {
        let mut candidates = candidates(state, serving, reasons);
        for candidate in &mut candidates {
            if self.parts.iter().any(|part| part.name == candidate.name) {
                candidate.hold = Hold::Fixed;
            }
        }
        candidates
    }

    fn too_large(self, limit: u64) -> Error {
        Error::unavailable(format!(
            "model '{}' takes {} bytes{}, more than the memory budget of {limit} bytes allows at all \
             (--lazy-load-memory-budget)",
            self.asked,
            self.size(),
            if self.parts.len() > 1 { " with what it is composed of" } else { "" }
        ))
    }

    fn all_stays(self, need: u64, limit: u64, used: u64) -> Error {
        Error::unavailable(format!(
            "there is no room for the {need} bytes of model '{}': of the memory budget of {limit} bytes {used} are used, \
             and what was loaded by request stays until it is unloaded",
            self.asked
        ))
    }
}

/// All that serves, and what keeps it from being evicted.
pub(crate) fn candidates(state: &State, serving: &[ServingModel], reasons: Reasons) -> Vec<Candidate> {
    let hold = |model: &ServingModel| match (reasons, model.activity) {
        _ if !state.models.may_be_evicted(&model.name) => Hold::Fixed,
        (Reasons::Now, _) if state.guarded.contains_key(&model.name) => Hold::Fixed,
        (Reasons::Now, Activity::Sequences) => Hold::Fixed,
        (Reasons::Now, Activity::Running) => Hold::Running,
        (Reasons::Now, Activity::Idle) | (Reasons::Lasting, _) => Hold::Idle,
    };
    let candidate = |model: &ServingModel| Candidate {
        name: model.name.clone(),
        bytes: state.budget.of(&model.name).unwrap_or(0),
        last_use: model.last_use,
        hold: hold(model),
        composing: model.composing.clone(),
    };
    serving.iter().map(candidate).collect()
}
