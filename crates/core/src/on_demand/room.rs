//! Makes room for a model before it is loaded: the budget holds at every moment, also while one goes and another comes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hippocamp_backend::{Error, Result};
use tracing::{info, warn};

use super::footprint::Part;
use super::{DemandState, Guard, OnDemand};
use crate::InferenceServer;
use crate::load::Started;
use crate::model::Executor;
use crate::models::{Entry, Models};
use crate::standby::eviction::{Candidate, Hold, victims};

/// How long room is waited for that nobody gives free: models with sequences, or whose last requests do not end.
const PATIENCE: Duration = Duration::from_secs(20);
/// When others are evicted beside those whose end takes long.
const SLOW: Duration = Duration::from_millis(500);
/// Nobody tells that the last request on a model has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What there is to do for room.
enum Room {
    /// It is there, reserved and guarded.
    Reserved,
    Evict(Vec<String>),
    /// It comes when requests end.
    Wait,
    Never(Error),
}

/// What keeps a model from being evicted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// All that does so now.
    Now,
    /// Only what will not end by itself.
    Always,
}

impl InferenceServer {
    /// Reserves room for those parts that have none yet, and keeps all from being evicted until the guard is dropped.
    /// What of them is in `again` is loaded beside itself as it serves, and needs room twice until what it replaces is free;
    /// who finds that it fails tells the ledger.
    pub(super) async fn make_room<'a>(
        self: &Arc<Self>,
        demand: &'a OnDemand,
        asked: &str,
        parts: &[Part],
        again: &BTreeSet<String>,
    ) -> Result<Guard<'a>> {
        // Nothing is guarded by who waits for this: whoever has the turn may need it to go.
        let _turn = demand.turn.lock().await;
        let begin = Instant::now();
        loop {
            let changed = demand.changed.notified();
            match self.look_for_room(demand, asked, parts, again, begin.elapsed() > SLOW) {
                Room::Reserved => {
                    let names = parts.iter().map(|part| part.name.clone()).collect();
                    return Ok(Guard { demand, names });
                }
                Room::Never(error) => return Err(error),
                Room::Evict(names) => {
                    for name in names {
                        self.evict(demand, &name).await;
                    }
                }
                Room::Wait if begin.elapsed() > PATIENCE => {
                    return Err(Error::unavailable(format!(
                        "there is no room for model '{asked}' within the memory budget: what is loaded has been used by \
                         requests or sequences for {} s",
                        PATIENCE.as_secs()
                    )));
                }
                Room::Wait => drop(tokio::time::timeout(LOOK_AGAIN, changed).await),
            }
        }
    }

    fn look_for_room(
        &self,
        demand: &OnDemand,
        asked: &str,
        parts: &[Part],
        again: &BTreeSet<String>,
        slow: bool,
    ) -> Room {
        let mut state = demand.state.lock();
        let ledger = &state.standby.ledger;
        let need = |part: &Part| match ledger.beside(&part.name, part.bytes) {
            None => part.bytes,
            Some(beside) if again.contains(&part.name) => beside,
            Some(_) => 0,
        };
        let need = parts.iter().map(need).fold(0, u64::saturating_add);
        let short = state.standby.ledger.short(need);
        if short == 0 {
            for part in parts {
                let ledger = &mut state.standby.ledger;
                match ledger.beside(&part.name, part.bytes) {
                    None => ledger.hold(&part.name, part.bytes),
                    Some(beside) if again.contains(&part.name) => ledger.load_again(&part.name, beside),
                    Some(_) => {}
                }
                state.guard(&part.name);
            }
            return Room::Reserved;
        }
        let all: u64 = parts.iter().map(|part| part.bytes).fold(0, u64::saturating_add);
        let budget = state.standby.ledger.budget().unwrap_or(u64::MAX);
        if all > budget {
            return Room::Never(Error::unavailable(format!(
                "model '{asked}' takes {all} bytes{}, more than the memory budget of {budget} bytes allows at all \
                 (--lazy-load-memory-budget)",
                if parts.len() > 1 { " with what it is composed of" } else { "" }
            )));
        }
        let passing = state.standby.ledger.passing();
        let candidates = |holds| {
            let mut candidates = self.candidates(&state, holds);
            // It does not go for itself.
            let own = |name: &str| parts.iter().any(|part| part.name == name);
            candidates.iter_mut().filter(|one| own(&one.name)).for_each(|own| own.hold = Hold::Fixed);
            candidates
        };
        let coming = if slow { 0 } else { passing };
        if let Some(victims) = victims(candidates(Holds::Now), short.saturating_sub(coming)) {
            return if victims.is_empty() { Room::Wait } else { Room::Evict(victims) };
        }
        // What is being loaded for others may be evicted then.
        let serving = candidates(Holds::Always);
        let settled: u64 = serving.iter().map(|candidate| candidate.bytes).fold(0, u64::saturating_add);
        let moving = state.standby.ledger.used().saturating_sub(settled);
        if victims(serving, short.saturating_sub(moving)).is_some() {
            return Room::Wait;
        }
        Room::Never(Error::unavailable(format!(
            "there is no room for the {need} bytes of model '{asked}': of the memory budget of {budget} bytes {} are used, \
             and what was loaded by request stays until it is unloaded",
            state.standby.ledger.used()
        )))
    }

    /// All that serves, and what keeps it there.
    fn candidates(&self, state: &DemandState, holds: Holds) -> Vec<Candidate> {
        let models = self.models.lock();
        let steps = steps(&models);
        let serving = models.entries.iter().filter(|(_, entry)| !entry.serving.is_empty());
        let candidate = |(name, entry): (&String, &Entry)| {
            let is_guarded = state.guarded.contains_key(name);
            let is_elder = self.elders.of(name);
            let hold = match holds {
                _ if !state.standby.may_be_evicted(name) => Hold::Fixed,
                Holds::Now if is_guarded || is_elder || has_sequences(entry) => Hold::Fixed,
                Holds::Now if is_running(entry, &steps) => Hold::Running,
                Holds::Now | Holds::Always => Hold::Idle,
            };
            Candidate {
                name: name.clone(),
                bytes: state.standby.ledger.of(name).unwrap_or(0),
                last_use: entry.serving.iter().map(|s| s.model.last_use.get()).max().unwrap_or(0),
                hold,
                composing: models.dependencies.composing(name).map(str::to_owned).collect(),
            }
        };
        serving.map(candidate).collect()
    }

    /// Ends a model. It stands by again at once; its memory is back later.
    async fn evict(self: &Arc<Self>, demand: &OnDemand, name: &str) {
        let bytes = {
            let mut state = demand.state.lock();
            state.standby.evicted(name);
            // Before it ends: what ends is taken for free otherwise.
            state.standby.ledger.end(name)
        };
        let (_, retired) = self.end_model(name).await;
        info!(model = name, bytes, "evicted to make room: it was used least recently");
        let server = Arc::clone(self);
        tokio::spawn(async move {
            server.retire(retired).await;
            if let Some(demand) = &server.on_demand {
                demand.state.lock().standby.ledger.passed(bytes);
                demand.changed.notify_waiters();
            }
        });
    }

    /// Evicts what is beyond the budget, because what serves has grown.
    pub(super) async fn trim(self: &Arc<Self>, demand: &OnDemand) {
        let _turn = demand.turn.lock().await;
        let names = {
            let state = demand.state.lock();
            let ledger = &state.standby.ledger;
            let short = ledger.short(0).saturating_sub(ledger.passing());
            let names = victims(self.candidates(&state, Holds::Now), short);
            names.unwrap_or_else(|| {
                warn!(
                    used = ledger.used(),
                    budget = ledger.budget(),
                    "more memory is used than the budget allows"
                );
                Vec::new()
            })
        };
        for name in names {
            self.evict(demand, &name).await;
        }
    }

    /// Models have ended or were replaced, and the memory of that is free.
    pub(crate) fn account_for_end(&self, names: &[String]) {
        let Some(demand) = &self.on_demand else { return };
        {
            let mut state = demand.state.lock();
            for name in names {
                state.standby.ledger.replaced(name);
            }
        }
        self.account_for_unloaded(demand, names);
    }

    /// What does not serve holds nothing, unless somebody loads it.
    pub(super) fn account_for_unloaded(&self, demand: &OnDemand, names: &[String]) {
        let mut state = demand.state.lock();
        let models = self.models.lock();
        for name in names {
            if models.serving(name).is_empty() && !state.guarded.contains_key(name) {
                state.standby.ledger.release(name);
            }
        }
        drop((state, models));
        demand.changed.notify_waiters();
    }
}

/// How often ensembles that serve hold on to a model, by its address.
fn steps(models: &Models) -> HashMap<*const (), usize> {
    let mut steps = HashMap::new();
    for started in models.entries.values().flat_map(|entry| &entry.serving) {
        if let Executor::Ensemble(ensemble) = &started.model.executor {
            for model in ensemble.models() {
                *steps.entry(Arc::as_ptr(model).cast::<()>()).or_default() += 1;
            }
        }
    }
    steps
}

/// Whether anybody holds on to a version beside the list of models, the routes and ensembles.
fn is_running(entry: &Entry, steps: &HashMap<*const (), usize>) -> bool {
    entry.serving.iter().any(|Started { model, .. }| {
        let owners = 2 + steps.get(&Arc::as_ptr(model).cast::<()>()).copied().unwrap_or(0);
        Arc::strong_count(model) > owners || model.pending() > 0
    })
}

fn has_sequences(entry: &Entry) -> bool {
    let mut schedulers = entry.serving.iter().flat_map(|started| &started.model.sequences);
    schedulers.any(|scheduler| scheduler.has_sequences())
}
