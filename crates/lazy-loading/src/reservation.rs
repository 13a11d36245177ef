//! Computes how much of the memory budget a load needs, and decides whether the load gets it now, evicts other models first,
//! waits, or is refused.

use std::collections::BTreeSet;
use std::sync::Arc;

use hippocamp_backend::Error;
use hippocamp_lifecycle::{Activity, ServingModel};

use crate::eviction::{Candidate, Hold, choose};
use crate::footprint::Part;
use crate::guard::EvictionGuard;
use crate::lazy_loading::{LazyLoading, State};
use crate::memory_budget::MemoryBudget;

/// A request for memory, for models that are loaded together.
#[derive(Clone, Copy)]
pub(crate) struct Reservation<'a> {
    /// The name of the requested model, for messages.
    pub(crate) asked: &'a str,
    /// The models to load, with all their composing models.
    pub(crate) parts: &'a [Part],
    /// The names of the models among them that are reloaded while they serve. Each needs memory for both copies until the
    /// old one is freed. If the reload fails, the caller has to call [`MemoryBudget::replaced`].
    pub(crate) reloaded: &'a BTreeSet<String>,
}

/// What to do with a reservation.
pub(crate) enum Decision {
    /// The memory is reserved. The guard keeps the models of the reservation from being evicted.
    Reserved(EvictionGuard),
    /// These models have to be evicted first, in this order.
    Evict(Vec<String>),
    /// Wait: memory will be freed when requests, sequences or other loads finish.
    Wait,
    Refused(Error),
}

/// Which reasons against the eviction of a model are taken into account.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reasons {
    /// All reasons that exist now, including running requests, sequences and loads.
    Now,
    /// Only reasons that do not end by themselves, such as a load by a client.
    Lasting,
}

impl Reservation<'_> {
    /// Reserves the memory if enough is free; otherwise says what to do. If `slow` is true, memory that is still being
    /// released is not waited for, and further models are evicted.
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
        let releasing = if slow { 0 } else { state.budget.releasing() };
        let now = self.candidates(&state, &serving, Reasons::Now);
        match choose(now, missing.saturating_sub(releasing)) {
            Some(names) if names.is_empty() => return Decision::Wait,
            Some(names) => return Decision::Evict(names),
            None => {}
        }
        // Models that are being loaded or used by requests may become eviction candidates later.
        let later = self.candidates(&state, &serving, Reasons::Lasting);
        let evictable: u64 = later.iter().map(|candidate| candidate.bytes).fold(0, u64::saturating_add);
        let released_later = state.budget.used().saturating_sub(evictable);
        if choose(later, missing.saturating_sub(released_later)).is_some() {
            return Decision::Wait;
        }
        Decision::Refused(self.nothing_to_evict(need, limit, state.budget.used()))
    }

    /// The bytes that are needed in addition to what the models hold already.
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

    /// The bytes of all models of the reservation.
    fn size(self) -> u64 {
        self.parts.iter().map(|part| part.bytes).fold(0, u64::saturating_add)
    }

    /// The eviction candidates. The models of the reservation itself are fixed, so that none is evicted for another.
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

    fn nothing_to_evict(self, need: u64, limit: u64, used: u64) -> Error {
        Error::unavailable(format!(
            "there is no room for the {need} bytes of model '{}': of the memory budget of {limit} bytes {used} are used, \
             and what was loaded by request stays until it is unloaded",
            self.asked
        ))
    }
}

/// All serving models as eviction candidates, each with the reason that keeps it loaded.
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
