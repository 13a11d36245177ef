//! Draining versions: versions that were replaced while sequences were active on them. A sequence stays on the version that
//! has its state, so the version remains reachable for these requests until its last sequence ends.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use hippocamp_backend::CorrelationId;
use hippocamp_loading::Started;
use hippocamp_scheduler::Scheduler;
use hippocamp_serving::{Executor, LoadedModel};
use tracing::info;

/// The first and the longest interval at which a draining version is polled for active sequences. It is polled because a
/// sequence may end in several ways: by its END request, an error, or the idle timeout.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const NEXT_LOOK: Duration = Duration::from_millis(500);

/// The draining versions by model name, newest first. No list is empty.
#[derive(Debug, Default)]
pub struct DrainingVersions(ArcSwap<HashMap<Arc<str>, Vec<Arc<DrainingVersion>>>>);

/// A version that accepts no new sequence, only requests of the sequences that are active on it.
#[derive(Debug)]
pub struct DrainingVersion {
    pub model: Arc<LoadedModel>,
    /// The schedulers whose sequences were not handed over to the new version.
    sequences: Vec<Arc<Scheduler>>,
}

impl DrainingVersion {
    /// Makes a draining version of `ends` if it has schedulers with sequences that none of the new versions `started`
    /// shares; otherwise `None`.
    pub fn of(ends: &Started, started: &[Started]) -> Option<Arc<DrainingVersion>> {
        let is_reused = |scheduler: &Arc<Scheduler>| {
            let mut others = started.iter().flat_map(|version| &version.model.sequences);
            others.any(|other| Arc::ptr_eq(other, scheduler))
        };
        let sequences = ends.model.sequences.iter().filter(|scheduler| !is_reused(scheduler));
        let sequences: Vec<_> = sequences.cloned().collect();
        (!sequences.is_empty())
            .then(|| Arc::new(DrainingVersion { model: Arc::clone(&ends.model), sequences }))
    }

    pub fn has(&self, id: &CorrelationId) -> bool {
        self.sequences.iter().any(|scheduler| scheduler.has_sequence(id))
    }

    /// Closes the version if no sequence is active and no request is about to start one. Returns true if it is closed; no
    /// request can use it after that.
    fn end_if_done(&self) -> bool {
        let Some(uses) = &self.model.uses else { return !self.has_sequences() };
        if self.has_sequences() || !uses.close_if_unused() {
            return false;
        }
        // A request may have started a sequence between the two checks.
        if self.has_sequences() {
            uses.reopen();
            return false;
        }
        true
    }

    fn has_sequences(&self) -> bool {
        self.sequences.iter().any(|scheduler| scheduler.has_sequences())
    }

    /// Whether this version is an ensemble with `model` as a step.
    fn runs(&self, model: &Arc<LoadedModel>) -> bool {
        match &self.model.executor {
            Executor::Scheduler(_) => false,
            Executor::Ensemble(ensemble) => {
                ensemble.models().any(|step| std::ptr::addr_eq(Arc::as_ptr(step), Arc::as_ptr(model)))
            }
        }
    }
}

impl DrainingVersions {
    /// Whether the model `name` has draining versions.
    pub fn of(&self, name: &str) -> bool {
        self.0.load().contains_key(name)
    }

    pub fn add(&self, version: &Arc<DrainingVersion>) {
        self.0.rcu(|all| {
            let mut all = HashMap::clone(all);
            all.entry(Arc::clone(&version.model.name)).or_default().insert(0, Arc::clone(version));
            all
        });
    }

    /// Drops all draining versions of a model and the sequences on them.
    pub fn forget(&self, name: &str) {
        if self.of(name) {
            self.retain(name, |_| false);
        }
    }

    pub fn clear(&self) {
        self.0.store(Arc::default());
    }

    fn retain(&self, name: &str, keep: impl Fn(&Arc<DrainingVersion>) -> bool) {
        self.0.rcu(|all| {
            let mut all = HashMap::clone(all);
            let left = all.get_mut(name).is_some_and(|versions| {
                versions.retain(&keep);
                !versions.is_empty()
            });
            if !left {
                all.remove(name);
            }
            all
        });
    }

    /// The newest draining version of the model for which `wanted` returns true.
    pub fn find(&self, name: &str, wanted: impl Fn(&DrainingVersion) -> bool) -> Option<Arc<LoadedModel>> {
        let all = self.0.load();
        all.get(name)?.iter().find(|version| wanted(version)).map(|version| Arc::clone(&version.model))
    }

    /// Waits until the last sequence of a version has ended or the model is unloaded, then drops the version. While it waits
    /// it holds only a weak reference.
    pub async fn drain(&self, version: Weak<DrainingVersion>) {
        let mut pause = FIRST_LOOK;
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(NEXT_LOOK);
            let Some(draining) = version.upgrade() else { return };
            let is_step = self.0.load().values().flatten().any(|other| other.runs(&draining.model));
            if !is_step && draining.end_if_done() {
                let LoadedModel { name, version, .. } = &*draining.model;
                self.retain(name, |other| !Arc::ptr_eq(other, &draining));
                info!(model = &**name, version, "the last sequence on what was replaced is over");
            }
        }
    }
}
