//! A model version: initialized once, with a config to complete or a finished one.

#![allow(unsafe_code, reason = "unmaps what the backend has forgotten")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use hippocamp_backend::{
    BatchStrategy, Device, Error, InstanceSpec, Model, ModelSource, NewInstance, Result, ServerHandle,
};
use hippocamp_model_config::{Interface, ModelConfig, differ_in_scheduling_only, sequence_batching};
use parking_lot::Mutex;

use super::HostSettings;
use super::instance::{KnownInstance, TritonInstance};
use super::loaded::LoadedBackend;
use super::strategy::{StrategyFolders, TritonStrategy};
use super::told::{Parts, Told};
use super::watchdog::{self, Awaited};
use super::{merged, preferred, python};
use crate::border::{Owned, own, text};
use crate::in_process::{Caller, Gpus, ServerObject};
use crate::library::{Batcher, call_if_there, release};
use crate::life::{ConfigInUse, ModelObject, Phase, State};

/// A version of a model.
#[derive(Debug)]
pub(super) struct TritonModel {
    version: Arc<Version>,
    initialized: Mutex<Option<Initialized>>,
}

/// What the model's instances share. Dropped, when the last of them is gone, the model is finalized.
pub(super) type Version = Told<VersionParts>;

/// See [`Version`].
#[derive(Debug)]
pub(super) struct VersionParts {
    pub(super) object: Owned<ModelObject>,
    pub(super) backend: Arc<LoadedBackend>,
    pub(super) settings: HostSettings,
    pub(super) strategies: StrategyFolders,
    /// What decides which of its requests are executed together.
    pub(super) batcher: Mutex<Option<Batcher>>,
    /// Held while an instance is initialized, unless the backend lets that be done in parallel.
    pub(super) initializing: Mutex<()>,
    /// Held while a batch is executed on a device, by backends that want it so.
    pub(super) devices: Mutex<BTreeMap<i32, Arc<Mutex<()>>>>,
    /// The instances that were not finalized yet.
    pub(super) instances: AtomicUsize,
    /// Those that can be asked whether they are ready.
    pub(super) ready: Mutex<Vec<Weak<KnownInstance>>>,
    /// Whether the backend was told of the model.
    is_known: Mutex<bool>,
    /// The region of its initialization, if that was left by an exception.
    forgotten: OnceLock<String>,
}

/// How the model was initialized.
#[derive(Debug)]
struct Initialized {
    /// The config with which.
    with: ModelConfig,
    result: Result<()>,
}

impl TritonModel {
    pub(super) fn new(
        backend: Arc<LoadedBackend>,
        source: &ModelSource,
        (settings, strategies): (HostSettings, StrategyFolders),
        server: ServerHandle,
    ) -> Result<TritonModel> {
        let config = ConfigInUse { config: Arc::clone(&source.config), phase: Phase::Ready, set: None };
        let object = own(ModelObject {
            name: text(&source.name),
            version: source.version,
            folder: text(&source.model_directory.to_string_lossy()),
            backend: backend.object.as_ref(),
            server: own(ServerObject::new(
                server,
                Caller::new(&source.name, source.version),
                Gpus::new(settings.devices.clone()),
            ))?,
            state: State::default(),
            config: Mutex::new(config),
        })?;
        let version = Version::new(VersionParts {
            object,
            backend,
            settings,
            strategies,
            batcher: Mutex::default(),
            initializing: Mutex::default(),
            devices: Mutex::default(),
            instances: AtomicUsize::new(0),
            ready: Mutex::default(),
            is_known: Mutex::default(),
            forgotten: OnceLock::new(),
        });
        Ok(TritonModel { version: Arc::new(version), initialized: Mutex::default() })
    }

    /// Initializes the model unless it is already, and says whether it was now.
    fn initialize(&self, config: &ModelConfig, phase: Phase) -> Result<bool> {
        let mut initialized = self.initialized.lock();
        if let Some(before) = &*initialized {
            return before.result.clone().map(|()| false);
        }
        let VersionParts { object, backend, is_known, .. } = &**self.version;
        *object.config.lock() = ConfigInUse { config: Arc::new(config.clone()), phase, set: None };
        let folder = object.folder.to_string_lossy();
        let tried = backend
            .python
            .as_ref()
            .map_or(Ok(()), |python| python.try_stub(object.version, Path::new(&*folder), config));
        let result = tried.and_then(|()| {
            *is_known.lock() = true;
            self.tell(&config.name)
        });
        object.config.lock().phase = Phase::Ready;
        *initialized = Some(Initialized { with: config.clone(), result: result.clone() });
        result.map(|()| true)
    }

    /// Whether requests of microseconds may be executed by the thread that accepts them. Not if an execution may wait for others, and
    /// not on devices, whose libraries keep to threads, nor in processes of their own, whose ends only the thread of an instance is told.
    fn may_move(&self, spec: &InstanceSpec) -> bool {
        let backend = &self.version.backend;
        let waits = backend.calls_models || sequence_batching(&spec.config).is_some();
        spec.device == Device::Cpu && !waits && backend.python.is_none()
    }

    /// Has the backend initialize the model.
    fn tell(&self, name: &str) -> Result<()> {
        let initialize = |version: &Arc<Version>| {
            call_if_there(version.backend.entry_points.model_initialize, version.object.as_ref())
        };
        let Some(python) = &self.version.backend.python else { return initialize(&self.version) };
        let awaited = python.awaited()?;
        let called = watchdog::call(("initialize", name), &awaited, Arc::clone(&self.version), initialize);
        let (_version, result) = called.map_err(|abandoned| {
            python.swept_up(&abandoned);
            if let Some(region) = abandoned.region.as_ref().filter(|_| abandoned.has_returned) {
                let _ = self.version.forgotten.set(region.clone());
            }
            python::did_not_start(name, &abandoned)
        })?;
        result.inspect_err(|error| python.explain(error, &self.version.object))
    }

    fn set(&self) -> Option<Arc<ModelConfig>> {
        self.version.object.config.lock().set.clone()
    }
}

impl Model for TritonModel {
    fn complete_config(&self, config: &mut ModelConfig, _default_max_batch_size: i32) -> Result<()> {
        preferred::place(config, &self.version.backend.attributes.preferred_groups);
        let is_new = self.initialize(config, Phase::Completing)?;
        let same = || {
            let initialized = self.initialized.lock();
            initialized.as_ref().is_some_and(|before| differ_in_scheduling_only(&before.with, config))
        };
        if !is_new && !same() {
            return Err(Error::unavailable(format!(
                "model '{}' has to be loaded again for its backend to read its new config",
                config.name
            )));
        }
        if let Some(set) = self.set() {
            *config = merged(config, (*set).clone(), &config.name)?;
        }
        Ok(())
    }

    fn check_config(&self, config: &ModelConfig) -> Result<()> {
        self.version.object.server.caller.serves_with(config);
        if !self.initialize(config, Phase::Initializing)? {
            // The config is finished: from now on the backend reads this one.
            self.version.object.config.lock().config = Arc::new(config.clone());
        }
        Ok(())
    }

    fn batch_strategy(
        &self,
        config: &ModelConfig,
        interface: &Arc<Interface>,
    ) -> Result<Option<Arc<dyn BatchStrategy>>> {
        TritonStrategy::of(&self.version, config, interface)
    }

    fn has_ready_check(&self) -> bool {
        self.version.backend.entry_points.instance_ready.is_some()
    }

    /// Each instance is asked; one that is not ready says so for the model. An instance that ends meanwhile is finalized behind its
    /// answer, and nobody waits for that.
    fn check_ready(&self) -> Result<()> {
        let mut instances: Vec<_> = self.version.ready.lock().iter().filter_map(Weak::upgrade).collect();
        // One that is in an execution which never returns has a successor.
        instances.retain(|instance| !instance.is_stuck.load(Ordering::Acquire));
        let ready = self.version.backend.entry_points.instance_ready;
        instances.iter().try_for_each(|instance| call_if_there(ready, instance.object.as_ref()))
    }

    fn new_instance(&self, spec: &InstanceSpec) -> Result<NewInstance> {
        self.initialize(&spec.config, Phase::Initializing)?;
        let instance = TritonInstance::new(&self.version, spec)?;
        Ok(if self.may_move(spec) { NewInstance::movable(instance) } else { NewInstance::bound(instance) })
    }
}

impl Drop for VersionParts {
    fn drop(&mut self) {
        if let Some(region) = self.forgotten.get() {
            // The backend has the process of an initialization in its model's state, which it has not set then, and forgets.
            // SAFETY: the model is finalized, so that nothing of the backend has the region; it was the model's alone.
            unsafe { release(region) };
        }
    }
}

impl Parts for VersionParts {
    const WHAT: &'static str = "finalize model";

    fn name(&self) -> String {
        self.object.name.to_string_lossy().into_owned()
    }

    fn backend(&self) -> &LoadedBackend {
        &self.backend
    }

    fn finalize(&self) -> Result<()> {
        if !*self.is_known.lock() {
            return Ok(());
        }
        drop(self.batcher.lock().take());
        call_if_there(self.backend.entry_points.model_finalize, self.object.as_ref())
    }

    /// Its instances are gone, and their processes.
    fn awaited(&self) -> Awaited {
        Awaited::Nothing
    }
}
