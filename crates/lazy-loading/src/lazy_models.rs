//! Which models are loaded when a request asks for them. Pure: no disk, no task.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use hippocamp_backend::Error;
use hippocamp_repository::Fingerprint;

use crate::backoff::LoadFault;

/// The highest number of models that are remembered as unloaded by a client; limited because clients may use any number of
/// names.
const MAX_UNLOADED: usize = 4096;

/// The models that may be loaded lazily, and those that clients loaded or unloaded explicitly.
#[derive(Debug, Default)]
pub(crate) struct LazyModels {
    models: BTreeMap<String, LazyModel>,
    /// Models that a client loaded. They are not evicted until a client unloads them.
    pinned: BTreeSet<String>,
    /// Models that a client unloaded. No ensemble loads them again.
    unloaded: BTreeSet<String>,
}

/// A model that may be loaded lazily, whether it is loaded now or not.
#[derive(Debug, Default)]
pub(crate) struct LazyModel {
    /// In poll mode, the settled content of the model's folder; only this content is loaded.
    pub(crate) content: Option<Fingerprint>,
    /// Whether requests may ask for the model by name; false if it is only part of an ensemble.
    pub(crate) by_name: bool,
    /// The failure of the last load, if it failed.
    pub(crate) failure: Option<LoadFault>,
    pub(crate) evictions: u64,
    /// The versions that the index shows, and the content from which they were read.
    pub(crate) versions: Option<(Fingerprint, Vec<u64>)>,
}

impl LazyModels {
    /// Adds a model that is loaded on request. A failure of an earlier content is dropped.
    pub(crate) fn add(&mut self, name: &str, content: Option<Fingerprint>, by_name: bool) {
        self.unloaded.remove(name);
        let model = self.models.entry(name.to_owned()).or_default();
        if model.content != content {
            model.failure = None;
        }
        model.content = content;
        model.by_name |= by_name;
    }

    /// Adds a composing model, which is loaded together with its ensemble. Returns false if a client has unloaded it.
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

    /// Removes a model that is no longer in any repository.
    pub(crate) fn remove(&mut self, name: &str) {
        self.models.remove(name);
        self.pinned.remove(name);
    }

    /// Notes that a client unloads the model: it is not loaded again until a client loads it.
    pub(crate) fn unload(&mut self, name: &str) {
        if self.models.contains_key(name) || self.pinned.contains(name) {
            self.remove(name);
            if self.unloaded.len() >= MAX_UNLOADED {
                self.unloaded.pop_first();
            }
            self.unloaded.insert(name.to_owned());
        }
    }

    /// Notes that a client loaded the model, so that it is not evicted.
    pub(crate) fn pin(&mut self, name: &str) {
        self.unloaded.remove(name);
        self.pinned.insert(name.to_owned());
        self.succeeded(name);
    }

    /// Whether the model may be evicted, because the next request would load it again.
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

    /// Forgets all failures after a change in the repositories, as that may have removed their cause.
    pub(crate) fn forget_failures(&mut self) {
        self.models.values_mut().for_each(|model| model.failure = None);
    }

    /// Stores the versions that a load of this content would serve, for the index.
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
