//! Versions that were replaced while sequences ran on them. A sequence ends where it began: its requests still find the
//! version that has its state, until the last of its sequences is over.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use hippocamp_backend::{CorrelationId, Result, Sequence};
use hippocamp_scheduler::Scheduler;
use tracing::info;

use crate::load::Started;
use crate::{InferenceServer, LoadedModel};

/// How long it takes at first until somebody looks whether the last sequence is over, and at most. Sequences last long, and
/// end when nobody watches: by their END, an error, or because they are idle.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const NEXT_LOOK: Duration = Duration::from_millis(500);

/// By the model's name, newest first. No entry is empty.
#[derive(Debug, Default)]
pub(crate) struct Elders(ArcSwap<HashMap<Arc<str>, Vec<Arc<Elder>>>>);

/// A version that takes no new sequence any more.
#[derive(Debug)]
pub(crate) struct Elder {
    model: Arc<LoadedModel>,
    /// Those that have sequences which its successor does not have.
    sequences: Vec<Arc<Scheduler>>,
}

impl Elder {
    /// If a version that ends has sequences which none of `started` has.
    pub(crate) fn of(ends: &Started, started: &[Started]) -> Option<Arc<Elder>> {
        let goes_on = |scheduler: &Arc<Scheduler>| {
            let mut others = started.iter().flat_map(|version| &version.model.sequences);
            others.any(|other| Arc::ptr_eq(other, scheduler))
        };
        let sequences = ends.model.sequences.iter().filter(|scheduler| !goes_on(scheduler));
        let sequences: Vec<_> = sequences.cloned().collect();
        (!sequences.is_empty()).then(|| Arc::new(Elder { model: Arc::clone(&ends.model), sequences }))
    }

    fn has(&self, id: &CorrelationId) -> bool {
        self.sequences.iter().any(|scheduler| scheduler.has_sequence(id))
    }

    /// No sequence runs, and none can begin: nobody else has found the version before it was replaced.
    fn is_done(&self) -> bool {
        Arc::strong_count(&self.model) == 1
            && self.sequences.iter().all(|scheduler| !scheduler.has_sequences())
    }
}

impl Elders {
    /// Whether a model has any.
    pub(crate) fn of(&self, name: &str) -> bool {
        self.0.load().contains_key(name)
    }

    pub(crate) fn add(&self, elder: &Arc<Elder>) {
        self.0.rcu(|all| {
            let mut all = HashMap::clone(all);
            all.entry(Arc::clone(&elder.model.name)).or_default().insert(0, Arc::clone(elder));
            all
        });
    }

    /// Lets all versions of a model go, with the sequences on them.
    pub(crate) fn forget(&self, name: &str) {
        if self.of(name) {
            self.retain(name, |_| false);
        }
    }

    pub(crate) fn clear(&self) {
        self.0.store(Arc::default());
    }

    fn retain(&self, name: &str, keep: impl Fn(&Arc<Elder>) -> bool) {
        self.0.rcu(|all| {
            let mut all = HashMap::clone(all);
            let left = all.get_mut(name).is_some_and(|elders| {
                elders.retain(&keep);
                !elders.is_empty()
            });
            if !left {
                all.remove(name);
            }
            all
        });
    }

    /// The newest that `wanted` says yes to.
    fn find(&self, name: &str, wanted: impl Fn(&Elder) -> bool) -> Option<Arc<LoadedModel>> {
        let all = self.0.load();
        all.get(name)?.iter().find(|elder| wanted(elder)).map(|elder| Arc::clone(&elder.model))
    }

    /// Waits until the last sequence of a version is over, or the model is unloaded, and lets it go.
    pub(crate) async fn drain(&self, elder: Weak<Elder>) {
        let mut pause = FIRST_LOOK;
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(NEXT_LOOK);
            let Some(elder) = elder.upgrade() else { return };
            if elder.is_done() {
                let LoadedModel { name, version, .. } = &*elder.model;
                self.retain(name, |other| !Arc::ptr_eq(other, &elder));
                info!(model = &**name, version, "the last sequence on what was replaced is over");
            }
        }
    }
}

impl InferenceServer {
    /// As [`InferenceServer::model`], for a request of which is not yet known whether it belongs to a sequence. A version
    /// that was replaced is found as well while sequences run on it: [`InferenceServer::in_sequence`] says whether the
    /// request may go there.
    pub fn model_or_elder(&self, name: &str, version: Option<u64>) -> Result<Arc<LoadedModel>> {
        self.model(name, version).or_else(|error| {
            let of_version = |elder: &Elder| version.is_none_or(|version| elder.model.version == version);
            self.elders.find(name, of_version).ok_or(error)
        })
    }

    /// The version that a request goes to, of which [`InferenceServer::model_or_elder`] found `found`. If it goes on
    /// with a sequence, that is the newest that has the sequence, among those of the version that was asked for: one
    /// that serves, or one that was replaced since. It begins a sequence, or belongs to none, on one that serves.
    pub fn in_sequence(
        &self,
        found: Arc<LoadedModel>,
        version: Option<u64>,
        sequence: Option<&Sequence>,
    ) -> Result<Arc<LoadedModel>> {
        let name = &found.name;
        let continued = sequence.filter(|sequence| !sequence.start).map(|sequence| &sequence.correlation_id);
        if let Some(id) = continued.filter(|_| !found.sequences.is_empty() || self.elders.of(name))
            && let Some(model) = self.with_sequence(name, version, id)
        {
            return Ok(model);
        }
        if self.elders.find(name, |elder| Arc::ptr_eq(&elder.model, &found)).is_some() {
            return self.model(name, version);
        }
        Ok(found)
    }

    /// `None` also if there is no choice: then whoever is asked says what is wrong.
    fn with_sequence(
        &self,
        name: &str,
        version: Option<u64>,
        id: &CorrelationId,
    ) -> Option<Arc<LoadedModel>> {
        let serving = self.routes.versions(name);
        if serving.len() <= 1 && !self.elders.of(name) {
            return None;
        }
        let wanted = |model: &LoadedModel| version.is_none_or(|version| model.version == version);
        let has = |model: &&Arc<LoadedModel>| {
            wanted(model) && model.sequences.iter().any(|scheduler| scheduler.has_sequence(id))
        };
        let newest = serving.iter().rev().find(has).cloned();
        newest.or_else(|| self.elders.find(name, |elder| wanted(&elder.model) && elder.has(id)))
    }
}
