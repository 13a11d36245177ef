//! The observers that were registered, for all models or for single ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Observer;

/// Observers besides the statistics. Registered before models are loaded: a version keeps the observers that were
/// registered when it was loaded.
#[derive(Clone, Debug, Default)]
pub struct RegisteredObservers {
    of_all: Vec<Arc<dyn Observer>>,
    of_models: BTreeMap<String, Vec<Arc<dyn Observer>>>,
}

impl RegisteredObservers {
    /// Registers an observer of all models.
    pub fn add(&mut self, observer: Arc<dyn Observer>) {
        self.of_all.push(observer);
    }

    /// Registers an observer of the model of that name, in all its versions.
    pub fn add_for_model(&mut self, model: impl Into<String>, observer: Arc<dyn Observer>) {
        self.of_models.entry(model.into()).or_default().push(observer);
    }

    /// Whether there is none, of all models or of one.
    pub fn is_empty(&self) -> bool {
        self.of_all.is_empty() && self.of_models.is_empty()
    }

    /// The observers of that model, in the order of their registration: those of all models first.
    pub fn of_model(&self, model: &str) -> impl Iterator<Item = Arc<dyn Observer>> {
        self.of_all.iter().chain(self.of_models.get(model).into_iter().flatten()).cloned()
    }
}
