//! Which models are loaded when a request asks for them. Pure: no disk, no task.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use hippocamp_backend::Error;
use hippocamp_repository::Fingerprint;

use crate::backoff::LoadFault;

/// Of so many models is known that a client had them unloaded: clients may load and unload under ever new names.
const MAX_UNLOADED: usize = 4096;

/// The models that may be loaded lazily, and what keeps others from that.
#[derive(Debug, Default)]
pub(crate) struct LazyModels {
    models: BTreeMap<String, LazyModel>,
    /// Loaded because a client asked for the load: they stay until a client has them unloaded.
    pinned: BTreeSet<String>,
    /// Unloaded by a client: no ensemble brings them back.
    unloaded: BTreeSet<String>,
}

/// A model that may be loaded lazily, whether it is loaded now or not.
#[derive(Debug, Default)]
pub(crate) struct LazyModel {
    /// In poll mode the content that has settled: nothing else is loaded.
    pub(crate) content: Option<Fingerprint>,
    /// Wanted by itself, not only because an ensemble is composed of it.
    pub(crate) by_name: bool,
    /// What came of the last load, if it failed.
    pub(crate) failure: Option<LoadFault>,
    pub(crate) evictions: u64,
    /// What the index shows of it, and of which content that is.
    pub(crate) versions: Option<(Fingerprint, Vec<u64>)>,
}

impl LazyModels {
    /// From here on the model is loaded when it is asked for. A failure with another content counts no more.
    pub(crate) fn add(&mut self, name: &str, content: Option<Fingerprint>, by_name: bool) {
        self.unloaded.remove(name);
        let model = self.models.entry(name.to_owned()).or_default();
        if model.content != content {
            model.failure = None;
        }
        model.content = content;
        model.by_name |= by_name;
    }

    /// An ensemble is composed of it, so that it is loaded with the ensemble. False if a client has unloaded it.
    pub(crate) fn add_composing(&mut self, name: &str) -> bool {
        if !self.unloaded.contains(name) {
            self.models.entry(name.to_owned()).or_default();
        }
        !self.unloaded.contains(name)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&LazyModel> {
        self.models.get(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &LazyModel)> {
        self.models.iter().map(|(name, model)| (name.as_str(), model))
    }

    /// It is in no repository any more.
    pub(crate) fn remove(&mut self, name: &str) {
        self.models.remove(name);
        self.pinned.remove(name);
    }

    /// A client unloads it: it is not loaded again before a client asks for that.
    pub(crate) fn unload(&mut self, name: &str) {
        if self.models.contains_key(name) || self.pinned.contains(name) {
            self.remove(name);
            if self.unloaded.len() >= MAX_UNLOADED {
                self.unloaded.pop_first();
            }
            self.unloaded.insert(name.to_owned());
        }
    }

    /// A client had it loaded.
    pub(crate) fn pin(&mut self, name: &str) {
        self.unloaded.remove(name);
        self.pinned.insert(name.to_owned());
        self.succeeded(name);
    }

    /// Whether it may be unloaded to make room: then the next request loads it again.
    pub(crate) fn may_be_evicted(&self, name: &str) -> bool {
        self.models.contains_key(name) && !self.pinned.contains(name)
    }

    pub(crate) fn failed(&mut self, name: &str, error: &Error, now: Instant) {
        let Some(model) = self.models.get_mut(name) else { return };
        model.failure = Some(LoadFault::after(model.failure.as_ref(), error, now));
    }

    pub(crate) fn succeeded(&mut self, name: &str) {
        if let Some(model) = self.models.get_mut(name) {
            model.failure = None;
        }
    }

    /// Something changed in the repositories: what failed may have failed for the lack of that.
    pub(crate) fn forgive(&mut self) {
        self.models.values_mut().for_each(|model| model.failure = None);
    }

    /// What a load of that content would serve.
    pub(crate) fn shown(&mut self, name: &str, content: Fingerprint, versions: Vec<u64>) {
        if let Some(model) = self.models.get_mut(name) {
            model.versions = Some((content, versions));
        }
    }

    pub(crate) fn evicted(&mut self, name: &str) {
        if let Some(model) = self.models.get_mut(name) {
            model.evictions += 1;
        }
    }
}
