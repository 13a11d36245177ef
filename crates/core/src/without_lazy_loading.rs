//! Replaces lazy loading in a build without it.

use std::collections::BTreeMap;
use std::sync::Arc;

use hippocamp_backend::{Error, Result};
use hippocamp_lifecycle::{Lifecycle, VersionStates};
use hippocamp_metrics::Page;
use hippocamp_repository::Fingerprint;
#[cfg(feature = "follow")]
use hippocamp_repository::{Dependencies, Outcome, Transaction};
use tracing::warn;

use crate::{LoadOverrides, LoadedModel, Settings};

/// A type without values, in place of the real one.
#[derive(Debug)]
pub(crate) enum LazyLoading {}

/// Always `None`.
pub(crate) fn if_wanted(settings: &Settings, _: &Arc<Lifecycle>) -> Option<Arc<LazyLoading>> {
    if settings.lazy_load {
        warn!("this build loads no models lazily: they are loaded when they are wanted");
    }
    None
}

#[expect(clippy::unused_async, reason = "as the others")]
impl LazyLoading {
    pub(crate) async fn find_or_load(&self, _: &str, _: Option<u64>, _: Error) -> Result<Arc<LoadedModel>> {
        match *self {}
    }

    pub(crate) async fn can_load(&self, _: &str, _: Option<u64>) -> bool {
        match *self {}
    }

    pub(crate) async fn add_at_start(&self, _: Vec<String>, _: &BTreeMap<String, Fingerprint>, _: bool) {
        match *self {}
    }

    pub(crate) async fn load_for_client(self: &Arc<Self>, _: &str, _: LoadOverrides) -> Result<()> {
        match **self {}
    }

    pub(crate) fn unload_for_client(&self, _: &str) {
        match *self {}
    }

    #[cfg(feature = "follow")]
    pub(crate) fn accounted_for(&self) -> BTreeMap<String, Fingerprint> {
        match *self {}
    }

    #[cfg(feature = "follow")]
    pub(crate) async fn transact(
        self: &Arc<Self>,
        _: &Transaction,
        _: &BTreeMap<String, Fingerprint>,
        _: &Dependencies,
    ) -> Outcome {
        match **self {}
    }

    pub(crate) fn names(&self) -> Vec<String> {
        match *self {}
    }

    pub(crate) fn is_unloaded(&self, _: &str) -> bool {
        match *self {}
    }

    pub(crate) fn show_in_index(&self, _: &mut BTreeMap<String, VersionStates>) {
        match *self {}
    }

    pub(crate) fn write_metrics(&self, _: &mut Page) {
        match *self {}
    }
}
