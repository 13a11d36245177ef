//! The backends of a server, found by name when a model asks for one.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use hippocamp_interface::BackendFacts;

use crate::Backend;

/// The backends that a server has. They are registered before the first model is loaded; models look theirs up by name.
#[derive(Clone, Debug, Default)]
pub struct Backends {
    registered: BTreeMap<String, Registered>,
    sources: Vec<Arc<dyn BackendSource>>,
}

#[derive(Clone, Debug)]
struct Registered {
    backend: Arc<dyn Backend>,
    facts: BackendFacts,
}

/// Finds backends that are not registered: libraries in the folders of models, or in a directory of the server's.
pub trait BackendSource: Send + Sync + Debug {
    /// A backend that the model brings, or whose library its config names by `runtime`, which is empty if it names none. It goes
    /// before a registered one.
    fn find_with_model(
        &self,
        name: &str,
        runtime: &str,
        directories: ModelDirectories<'_>,
    ) -> Option<Arc<dyn Backend>>;

    /// A backend of that name from anywhere.
    fn find(&self, name: &str, runtime: &str, directories: ModelDirectories<'_>) -> Option<Arc<dyn Backend>>;
}

/// The directories in which a model may bring a backend of its own, in the order of the search, before built-in
/// backends.
#[derive(Clone, Copy, Debug)]
pub struct ModelDirectories<'a> {
    /// The folder of the version that is to be loaded, if one is.
    pub version: Option<&'a Path>,
    /// The model's folder.
    pub model: &'a Path,
    /// Whether the files came with a client's load request. They bring no backend then, and none may execute scripts of theirs.
    pub came_with_request: bool,
}

impl Backends {
    /// Adds a backend, in place of one of the same name. One that is a source of others is asked for these, and has no name.
    pub fn register(&mut self, backend: Arc<dyn Backend>) {
        if let Some(source) = backend.source() {
            self.sources.push(source);
            return;
        }
        let facts = backend.facts();
        self.registered.insert(backend.name().to_owned(), Registered { backend, facts });
    }

    /// The backend of that name, for a model that lies in `directories` and whose config names the library `runtime`, or
    /// none. One that the model brings goes before a registered one, and this before any other. `None` if there is none.
    pub fn find(
        &self,
        name: &str,
        runtime: &str,
        directories: ModelDirectories<'_>,
    ) -> Option<Arc<dyn Backend>> {
        if name.is_empty() {
            return None;
        }
        let mut sources = self.sources.iter();
        let brought = sources.find_map(|source| source.find_with_model(name, runtime, directories));
        let registered = || self.registered.get(name).map(|registered| Arc::clone(&registered.backend));
        let elsewhere = || self.sources.iter().find_map(|source| source.find(name, runtime, directories));
        brought.or_else(registered).or_else(elsewhere)
    }

    /// Whether there may be backends beyond the registered ones.
    pub fn has_sources(&self) -> bool {
        !self.sources.is_empty()
    }

    /// The registration facts of the backend of that name; `None` if there is none.
    pub fn facts(&self, name: &str) -> Option<BackendFacts> {
        self.registered.get(name).map(|registered| registered.facts)
    }

    /// The registration facts of all backends, by name.
    pub fn all_facts(&self) -> impl Iterator<Item = (&str, BackendFacts)> {
        self.registered.iter().map(|(name, registered)| (name.as_str(), registered.facts))
    }

    /// The names of all backends, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.registered.keys().map(String::as_str)
    }
}

impl FromIterator<Arc<dyn Backend>> for Backends {
    fn from_iter<I: IntoIterator<Item = Arc<dyn Backend>>>(backends: I) -> Backends {
        let mut registry = Backends::default();
        backends.into_iter().for_each(|backend| registry.register(backend));
        registry
    }
}
