//! A model version.

use std::ffi::{CString, c_char, c_void};
use std::sync::Arc;

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::{ModelConfig, from_json, to_json};
use parking_lot::Mutex;

use super::backend::FILESYSTEM;
use super::{BackendObject, State};
use crate::border::{Kind, Object, Out, Owned, Ref, Registry, Returned, address, call, misuse};
use crate::in_process::ServerObject;
use crate::objects::{BufferAttributesObject, MessageObject};

/// A version of a model.
#[derive(Debug)]
pub(crate) struct ModelObject {
    pub(crate) name: CString,
    pub(crate) version: u64,
    /// The model's folder.
    pub(crate) folder: CString,
    pub(crate) backend: Ref<BackendObject>,
    /// The server, as this model uses it.
    pub(crate) server: Owned<ServerObject>,
    pub(crate) state: State,
    pub(crate) config: Mutex<ConfigInUse>,
}

/// The config that a backend reads, and may replace while it initializes the model.
#[derive(Clone, Debug)]
pub(crate) struct ConfigInUse {
    pub(crate) config: Arc<ModelConfig>,
    pub(crate) phase: Phase,
    /// What the backend has set.
    pub(crate) set: Option<Arc<ModelConfig>>,
}

/// What a backend may do to the config now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The model is being initialized, and its config may be completed.
    Completing,
    /// The model is being initialized with a finished config.
    Initializing,
    /// The model is initialized.
    Ready,
}

impl Object for ModelObject {
    const KIND: Kind = Kind::Model;

    fn registry() -> &'static Registry<Self> {
        static MODELS: Registry<ModelObject> = Registry::new(Kind::Model);
        &MODELS
    }
}

/// The one version of the format of configs that there is.
const CONFIG_VERSION: u32 = 1;

fn check_version(version: u32) -> Result<()> {
    if version == CONFIG_VERSION {
        return Ok(());
    }
    let text = format!("model configuration version {version} not supported, supported versions are: 1");
    Err(Error::unsupported(text))
}

impl ModelObject {
    fn set_config(&self, text: &[u8]) -> Result<()> {
        let mut in_use = self.config.lock();
        let name = self.name.to_string_lossy();
        match in_use.phase {
            Phase::Completing => {}
            Phase::Initializing => {
                return Err(Error::unsupported(format!(
                    "the config of model '{name}' is not to be completed: auto-completion is off, or it is done"
                )));
            }
            Phase::Ready => {
                return Err(misuse(format!(
                    "the config of model '{name}' can only be set while the model is initialized"
                )));
            }
        }
        let text = std::str::from_utf8(text).map_err(|_| misuse("the config is not UTF-8"))?;
        let set = from_json(text).map_err(|faults| {
            Error::invalid_arg(format!("the config that the backend gives model '{name}' is wrong: {faults}"))
        })?;
        let set = Arc::new(super::super::host::merged(&in_use.config, set, &name)?);
        in_use.config = Arc::clone(&set);
        in_use.set = Some(set);
        Ok(())
    }
}

pub(crate) extern "C" fn name(model: Ref<ModelObject>, name: Out<*const c_char>) -> Returned {
    call("TRITONBACKEND_ModelName", || name.set("name", address(&model.get()?.name)))
}

pub(crate) extern "C" fn version(model: Ref<ModelObject>, version: Out<u64>) -> Returned {
    call("TRITONBACKEND_ModelVersion", || version.set("version", model.get()?.version))
}

pub(crate) extern "C" fn repository(
    model: Ref<ModelObject>,
    kind: Out<u32>,
    location: Out<*const c_char>,
) -> Returned {
    call("TRITONBACKEND_ModelRepository", || {
        let model = model.get()?;
        location.check("location")?;
        kind.set("artifact_type", FILESYSTEM)?;
        location.set("location", address(&model.folder))
    })
}

pub(crate) extern "C" fn backend(model: Ref<ModelObject>, backend: Out<Ref<BackendObject>>) -> Returned {
    call("TRITONBACKEND_ModelBackend", || backend.set("backend", model.get()?.backend))
}

pub(crate) extern "C" fn server(model: Ref<ModelObject>, server: Out<Ref<ServerObject>>) -> Returned {
    call("TRITONBACKEND_ModelServer", || server.set("server", model.get()?.server.as_ref()))
}

pub(crate) extern "C" fn config(
    model: Ref<ModelObject>,
    version: u32,
    config: Out<Ref<MessageObject>>,
) -> Returned {
    call("TRITONBACKEND_ModelConfig", || {
        check_version(version)?;
        let in_use = Arc::clone(&model.get()?.config.lock().config);
        config.set_new("model_config", MessageObject::new(to_json(&in_use).as_bytes()))
    })
}

pub(crate) extern "C" fn auto_complete_config(model: Ref<ModelObject>, wanted: Out<bool>) -> Returned {
    call("TRITONBACKEND_ModelAutoCompleteConfig", || {
        wanted.set("auto_complete_config", model.get()?.config.lock().phase == Phase::Completing)
    })
}

pub(crate) extern "C" fn set_config(
    model: Ref<ModelObject>,
    version: u32,
    config: Ref<MessageObject>,
) -> Returned {
    call("TRITONBACKEND_ModelSetConfig", || {
        check_version(version)?;
        model.get()?.set_config(config.get()?.text())
    })
}

pub(crate) extern "C" fn state(model: Ref<ModelObject>, state: Out<*mut c_void>) -> Returned {
    call("TRITONBACKEND_ModelState", || model.get()?.state.get(state))
}

pub(crate) extern "C" fn set_state(model: Ref<ModelObject>, state: *mut c_void) -> Returned {
    call("TRITONBACKEND_ModelSetState", || {
        model.get()?.state.set(state);
        Ok(())
    })
}

/// The server measures itself what models take.
pub(crate) extern "C" fn report_memory_usage(
    model: Ref<ModelObject>,
    _usage: *const Ref<BufferAttributesObject>,
    _count: u32,
) -> Returned {
    call("TRITONBACKEND_ModelReportMemoryUsage", || model.get().map(drop))
}
