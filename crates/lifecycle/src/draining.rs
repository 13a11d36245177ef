//! Versions that were replaced while sequences ran on them. A sequence ends where it began: its requests still find the
//! version that has its state, until the last of its sequences is over.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use hippocamp_backend::CorrelationId;
use hippocamp_loading::Started;
use hippocamp_scheduler::Scheduler;
use hippocamp_serving::{Executor, LoadedModel};
use tracing::info;

/// How long it takes at first until somebody looks whether the last sequence is over, and at most. Sequences last long, and
/// end when nobody watches: by their END, an error, or because they are idle.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const NEXT_LOOK: Duration = Duration::from_millis(500);

/// By the model's name, newest first. No entry is empty.
#[derive(Debug, Default)]
pub struct DrainingVersions(ArcSwap<HashMap<Arc<str>, Vec<Arc<DrainingVersion>>>>);

/// A version that takes no new sequence any more.
#[derive(Debug)]
pub struct DrainingVersion {
    pub model: Arc<LoadedModel>,
    /// Those that have sequences which its successor does not have.
    sequences: Vec<Arc<Scheduler>>,
}

impl DrainingVersion {
    /// If a version that ends has sequences which none of `started` has.
    pub fn of(ends: &Started, started: &[Started]) -> Option<Arc<DrainingVersion>> {
        let goes_on = |scheduler: &Arc<Scheduler>| {
            let mut others = started.iter().flat_map(|version| &version.model.sequences);
            others.any(|other| Arc::ptr_eq(other, scheduler))
        };
        let sequences = ends.model.sequences.iter().filter(|scheduler| !goes_on(scheduler));
        let sequences: Vec<_> = sequences.cloned().collect();
        (!sequences.is_empty())
            .then(|| Arc::new(DrainingVersion { model: Arc::clone(&ends.model), sequences }))
    }

    pub fn has(&self, id: &CorrelationId) -> bool {
        self.sequences.iter().any(|scheduler| scheduler.has_sequence(id))
    }

    /// Ends it if no sequence runs and no request is on its way to begin one. True if it has ended: then nobody can begin to
    /// use it.
    fn end_if_done(&self) -> bool {
        let Some(uses) = &self.model.uses else { return !self.has_sequences() };
        if self.has_sequences() || !uses.close_if_unused() {
            return false;
        }
        // A request may have begun one between the two looks.
        if self.has_sequences() {
            uses.reopen();
            return false;
        }
        true
    }

    fn has_sequences(&self) -> bool {
        self.sequences.iter().any(|scheduler| scheduler.has_sequences())
    }

    /// Whether it is an ensemble that hands requests to that version.
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
    /// Whether a model has any.
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

    /// Lets all versions of a model go, with the sequences on them.
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

    /// The newest that `wanted` says yes to.
    pub fn find(&self, name: &str, wanted: impl Fn(&DrainingVersion) -> bool) -> Option<Arc<LoadedModel>> {
        let all = self.0.load();
        all.get(name)?.iter().find(|version| wanted(version)).map(|version| Arc::clone(&version.model))
    }

    /// Waits until the last sequence of a version is over, or the model is unloaded, and lets it go. It does not keep the
    /// version meanwhile.
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
