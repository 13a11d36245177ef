//! The backends of a server, found by name when a model asks for one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hippocamp_interface::BackendFacts;

use crate::Backend;

/// The backends that a server has. They are registered before the first model is loaded; models look theirs up by name.
#[derive(Clone, Debug, Default)]
pub struct Backends(BTreeMap<String, Registered>);

#[derive(Clone, Debug)]
struct Registered {
    backend: Arc<dyn Backend>,
    facts: BackendFacts,
}

/// The directories in which a model may bring a backend of its own, in the order of the search, before built-in
/// backends. They are not searched yet: only built-in backends can be used.
#[derive(Clone, Copy, Debug)]
pub struct ModelDirectories<'a> {
    /// The folder of the version that is to be loaded, if one is.
    pub version: Option<&'a Path>,
    /// The model's folder.
    pub model: &'a Path,
}

impl Backends {
    /// Adds a backend, in place of one of the same name.
    pub fn register(&mut self, backend: Arc<dyn Backend>) {
        let facts = backend.facts();
        self.0.insert(backend.name().to_owned(), Registered { backend, facts });
    }

    /// The backend of that name, for a model that lies in `directories`; `None` if there is none.
    pub fn find(&self, name: &str, directories: ModelDirectories<'_>) -> Option<Arc<dyn Backend>> {
        let _ = directories;
        self.0.get(name).map(|registered| Arc::clone(&registered.backend))
    }

    /// The registration facts of the backend of that name; `None` if there is none.
    pub fn facts(&self, name: &str) -> Option<BackendFacts> {
        self.0.get(name).map(|registered| registered.facts)
    }

    /// The registration facts of all backends, by name.
    pub fn all_facts(&self) -> impl Iterator<Item = (&str, BackendFacts)> {
        self.0.iter().map(|(name, registered)| (name.as_str(), registered.facts))
    }

    /// The names of all backends, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl FromIterator<Arc<dyn Backend>> for Backends {
    fn from_iter<I: IntoIterator<Item = Arc<dyn Backend>>>(backends: I) -> Backends {
        let mut registry = Backends::default();
        backends.into_iter().for_each(|backend| registry.register(backend));
        registry
    }
}
