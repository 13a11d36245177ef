//! A backend that is initialized, until no model uses it and the host forgets it.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use hippocamp_backend::{Error, Result};
use parking_lot::Mutex;
use tracing::{debug, error};

use super::HostSettings;
use super::python::Python;
use crate::border::{Owned, own, text};
use crate::library::{BackendLibrary, EntryPoints, Found, ask_attributes, call_if_there};
use crate::life::{AttributeObject, Attributes, BackendObject, State};
use crate::objects::{MemoryManagerObject, MessageObject};

/// Held while a backend is initialized or finalized: a library that is loaded again may just be going with its last model.
static LIFE: Mutex<()> = Mutex::new(());

/// An initialized backend. Dropped, it is finalized.
#[derive(Debug)]
pub(super) struct LoadedBackend {
    pub(super) object: Owned<BackendObject>,
    pub(super) entry_points: EntryPoints,
    pub(super) attributes: Attributes,
    /// Whether its models may make requests to others, and wait for them while they execute.
    pub(super) calls_models: bool,
    /// Set for the Python backend and those that are Python. Dropped behind the backend, whose stubs it sweeps up.
    pub(super) python: Option<Arc<Python>>,
}

impl LoadedBackend {
    /// Opens the library, and initializes the backend.
    pub(super) fn new(name: &str, found: &Found, settings: &HostSettings) -> Result<Arc<LoadedBackend>> {
        let library = BackendLibrary::open(&found.library)?;
        let mut settings = settings.clone();
        let python = Python::of(found, &mut settings, library.tells_of_wakes);
        let config = settings.config_of(name, found.is_python_based);
        let object = own(BackendObject {
            name: text(name),
            folder: text(&found.folder.to_string_lossy()),
            config: own(MessageObject::new(config.as_bytes()))?,
            memory_manager: own(MemoryManagerObject::new(
                settings.devices.clone(),
                settings.gpu_pools.clone(),
            ))?,
            state: State::default(),
            policy: AtomicU32::new(0),
        })?;
        let mut backend = LoadedBackend {
            object,
            entry_points: library.entry_points,
            attributes: Attributes::default(),
            calls_models: library.calls_models,
            python,
        };
        let failed = |error: Error| {
            let why = error.message().to_owned();
            error.with_message(format!("failed to initialize backend '{name}': {why}"))
        };
        let initialized = {
            let _alone = LIFE.lock();
            call_if_there(backend.entry_points.initialize, backend.object.as_ref())
        };
        // What fails is finalized, too: it is dropped.
        initialized.map_err(failed)?;
        let attribute = own(AttributeObject::default())?;
        ask_attributes(&backend.entry_points, backend.object.as_ref(), attribute.as_ref()).map_err(failed)?;
        backend.attributes = attribute.attributes();
        debug!(backend = name, library = %library.path.display(), "backend initialized");
        Ok(Arc::new(backend))
    }

    pub(super) fn name(&self) -> String {
        self.object.name.to_string_lossy().into_owned()
    }
}

impl Drop for LoadedBackend {
    fn drop(&mut self) {
        let _alone = LIFE.lock();
        if let Err(error) = call_if_there(self.entry_points.finalize, self.object.as_ref()) {
            error!(backend = self.name(), "failed to finalize the backend: {}", error.message());
        }
    }
}
