//! Backends that are found by name, each with its library.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use hippocamp_backend::{Backend, BackendSource, Model, ModelDirectories, ModelSource, Result, ServerHandle};
use parking_lot::Mutex;

use super::HostSettings;
use super::loaded::LoadedBackend;
use super::model::TritonModel;
use crate::library::{Found, Search, not_found};

/// Triton's backends, found in the folders of models and in a directory of backends. Registered as a backend, it is a source
/// of them.
#[derive(Clone, Debug)]
pub struct TritonBackends(Arc<All>);

#[derive(Debug)]
struct All {
    settings: HostSettings,
    search: Search,
    /// The server that calls of backends go to, once it is known.
    server: OnceLock<ServerHandle>,
    /// Those that were initialized, by library and name. They stay until the server ends, as in Triton.
    loaded: Mutex<BTreeMap<(PathBuf, String), Arc<LoadedBackend>>>,
}

/// A backend of a name. Its library is looked for when a model is loaded, as the model may bring one.
#[derive(Debug)]
struct TritonBackend {
    name: String,
    all: Arc<All>,
}

impl TritonBackends {
    /// Backends with these settings. Nothing is opened before a model asks for a backend.
    pub fn new(settings: HostSettings) -> TritonBackends {
        let search = Search { backend_directory: settings.backend_directory.clone() };
        TritonBackends(Arc::new(All { settings, search, server: OnceLock::new(), loaded: Mutex::default() }))
    }

    /// The backend of that name.
    fn backend(&self, name: &str) -> Arc<dyn Backend> {
        Arc::new(TritonBackend { name: name.to_owned(), all: Arc::clone(&self.0) })
    }
}

impl All {
    fn find(&self, name: &str, runtime: &str, directories: ModelDirectories<'_>) -> Result<Option<Found>> {
        let folders: Vec<_> = directories.version.into_iter().chain([directories.model]).collect();
        self.search.find(name, runtime, &folders)
    }

    fn initialized(&self, name: &str, found: &Found) -> Result<Arc<LoadedBackend>> {
        let mut loaded = self.loaded.lock();
        let key = (found.library.clone(), name.to_owned());
        if let Some(backend) = loaded.get(&key) {
            return Ok(Arc::clone(backend));
        }
        let backend = LoadedBackend::new(name, found, &self.settings)?;
        loaded.insert(key, Arc::clone(&backend));
        Ok(backend)
    }
}

impl Backend for TritonBackends {
    fn name(&self) -> &'static str {
        "triton"
    }

    fn connect(&self, server: ServerHandle) {
        // It is of one server.
        let _ = self.0.server.set(server);
    }

    fn source(&self) -> Option<Arc<dyn BackendSource>> {
        Some(Arc::new(self.clone()))
    }

    fn load(&self, source: &ModelSource) -> Result<Box<dyn Model>> {
        self.backend(&source.config.backend).load(source)
    }
}

impl BackendSource for TritonBackends {
    fn find(&self, name: &str, runtime: &str, directories: ModelDirectories<'_>) -> Option<Arc<dyn Backend>> {
        // What is wrong with the names is told when the model is loaded.
        let is_there = self.0.find(name, runtime, directories).unwrap_or(None).is_some();
        is_there.then(|| self.backend(name))
    }

    fn find_with_model(
        &self,
        name: &str,
        runtime: &str,
        directories: ModelDirectories<'_>,
    ) -> Option<Arc<dyn Backend>> {
        let found = self.0.find(name, runtime, directories).unwrap_or(None)?;
        let own = found.library.starts_with(std::path::absolute(directories.model).ok()?);
        (own || !runtime.is_empty()).then(|| self.backend(name))
    }
}

impl Backend for TritonBackend {
    fn name(&self) -> &str {
        &self.name
    }

    fn load(&self, source: &ModelSource) -> Result<Box<dyn Model>> {
        let directories =
            ModelDirectories { version: Some(&source.version_directory), model: &source.model_directory };
        let found = self.all.find(&self.name, &source.config.runtime, directories)?;
        let backend = self.all.initialized(&self.name, &found.ok_or_else(|| not_found(&self.name))?)?;
        let server = self.all.server.get().cloned().unwrap_or_else(ServerHandle::none);
        Ok(Box::new(TritonModel::new(backend, source, server)?))
    }
}
