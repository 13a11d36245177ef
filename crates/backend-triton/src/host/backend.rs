//! Backends that are found by name, each with its library.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};

use hippocamp_backend::{
    Backend, BackendFacts, BackendSource, Error, Model, ModelDirectories, ModelSource, Result, ServerHandle,
};
use parking_lot::Mutex;

use super::HostSettings;
use super::loaded::LoadedBackend;
use super::model::TritonModel;
use super::strategy::StrategyFolders;
use crate::library::{Found, Search, not_found, usual_file};

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
    /// Those that were initialized, by library and name.
    loaded: Mutex<BTreeMap<(PathBuf, String), Kept>>,
}

/// A backend of a name. Its library is looked for when a model is loaded, as the model may bring one.
#[derive(Debug)]
struct TritonBackend {
    name: String,
    all: Arc<All>,
    /// Whether the model's files came with a client's load request.
    came_with_request: bool,
}

/// An initialized backend, which may be forgotten.
#[derive(Debug)]
enum Kept {
    /// It stays until the server ends, as in Triton.
    Always(Arc<LoadedBackend>),
    /// A model has brought its library, in a folder that may be another one with each load. It is finalized with its last
    /// model.
    WhileUsed(Weak<LoadedBackend>),
}

impl Kept {
    fn get(&self) -> Option<Arc<LoadedBackend>> {
        match self {
            Kept::Always(backend) => Some(Arc::clone(backend)),
            Kept::WhileUsed(backend) => backend.upgrade(),
        }
    }
}

impl TritonBackends {
    /// Backends with these settings. Nothing is opened before a model asks for a backend.
    pub fn new(settings: HostSettings) -> TritonBackends {
        let search = Search { backend_directory: settings.backend_directory.clone() };
        TritonBackends(Arc::new(All { settings, search, server: OnceLock::new(), loaded: Mutex::default() }))
    }

    /// The backend of that name.
    fn backend(&self, name: &str, directories: ModelDirectories<'_>) -> Arc<dyn Backend> {
        let came_with_request = directories.came_with_request;
        Arc::new(TritonBackend { name: name.to_owned(), all: Arc::clone(&self.0), came_with_request })
    }
}

impl Drop for All {
    fn drop(&mut self) {
        // A call that never returns keeps its backend.
        for backend in self.loaded.get_mut().values().filter_map(Kept::get) {
            if let Some(python) = &backend.python {
                python.end();
            }
        }
    }
}

impl All {
    fn find(&self, name: &str, runtime: &str, directories: ModelDirectories<'_>) -> Result<Option<Found>> {
        self.search.find(name, runtime, &own_folders(directories))
    }

    fn initialized(&self, name: &str, found: &Found) -> Result<Arc<LoadedBackend>> {
        let mut loaded = self.loaded.lock();
        let key = (found.library.clone(), name.to_owned());
        if let Some(backend) = loaded.get(&key).and_then(Kept::get) {
            return Ok(backend);
        }
        let backend = LoadedBackend::new(name, found, &self.settings)?;
        let directory = std::path::absolute(&self.search.backend_directory).unwrap_or_default();
        let stays = found.library.starts_with(directory);
        let kept = if stays {
            Kept::Always(Arc::clone(&backend))
        } else {
            Kept::WhileUsed(Arc::downgrade(&backend))
        };
        loaded.retain(|_, kept| kept.get().is_some());
        loaded.insert(key, kept);
        Ok(backend)
    }
}

/// Where a model may bring its library.
fn own_folders(directories: ModelDirectories<'_>) -> Vec<&Path> {
    let own = directories.version.into_iter().chain([directories.model]);
    own.filter(|_| !directories.came_with_request).collect()
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
        let directories = ModelDirectories {
            version: Some(&source.version_directory),
            model: &source.model_directory,
            came_with_request: false,
        };
        self.backend(&source.config.backend, directories).load(source)
    }
}

impl BackendSource for TritonBackends {
    fn find(&self, name: &str, runtime: &str, directories: ModelDirectories<'_>) -> Option<Arc<dyn Backend>> {
        // What is wrong with the names, or with what has them, is told when the model is loaded.
        let found = self.0.find(name, runtime, directories).transpose();
        found.map(|_| self.backend(name, directories))
    }

    fn find_with_model(
        &self,
        name: &str,
        runtime: &str,
        directories: ModelDirectories<'_>,
    ) -> Option<Arc<dyn Backend>> {
        let own = if let Ok(found) = self.0.find(name, runtime, directories).transpose()? {
            found.library.starts_with(std::path::absolute(directories.model).ok()?)
        } else {
            let mut own = own_folders(directories).into_iter();
            own.any(|folder| folder.join(usual_file(name)).symlink_metadata().is_ok())
        };
        (own || !runtime.is_empty()).then(|| self.backend(name, directories))
    }
}

impl Backend for TritonBackend {
    fn name(&self) -> &str {
        &self.name
    }

    fn facts(&self) -> BackendFacts {
        BackendFacts { batch_strategies: true, ..BackendFacts::PLAIN }
    }

    fn load(&self, source: &ModelSource) -> Result<Box<dyn Model>> {
        let directories = ModelDirectories {
            version: Some(&source.version_directory),
            model: &source.model_directory,
            came_with_request: self.came_with_request,
        };
        let found = self.all.find(&self.name, &source.config.runtime, directories)?;
        let found = found.ok_or_else(|| not_found(&self.name))?;
        if self.came_with_request {
            let (name, model) = (&self.name, &source.name);
            return Err(Error::unsupported(format!(
                "the files of model '{model}' came with a load request, and its backend '{name}' may execute them; put the model into \
                 the model repository"
            )));
        }
        let backend = self.all.initialized(&self.name, &found)?;
        let folders = [&source.version_directory, &source.model_directory, &found.folder];
        let strategies = StrategyFolders {
            model: source.model_directory.clone(),
            all: folders.into_iter().cloned().collect(),
        };
        let server = self.all.server.get().cloned().unwrap_or_else(ServerHandle::none);
        Ok(Box::new(TritonModel::new(backend, source, (self.all.settings.clone(), strategies), server)?))
    }
}
