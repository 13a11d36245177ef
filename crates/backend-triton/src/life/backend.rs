//! A backend: one for each name by which models ask for a library.

use std::ffi::{CString, c_char, c_void};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::border::{Kind, Object, Out, Owned, Ref, Registry, Returned, address, call, misuse};
use crate::life::State;
use crate::objects::{MemoryManagerObject, MessageObject};

/// A backend of a library.
#[derive(Debug)]
pub(crate) struct BackendObject {
    pub(crate) name: CString,
    /// Its folder.
    pub(crate) folder: CString,
    /// The settings of the command line, as JSON.
    pub(crate) config: Owned<MessageObject>,
    pub(crate) memory_manager: Owned<MemoryManagerObject>,
    pub(crate) state: State,
    pub(crate) policy: AtomicU32,
}

/// When an instance can get its next requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// When the call that executes has returned.
    Blocking,
    /// When that of any instance on the same device has.
    DeviceBlocking,
}

/// The version of the interface: that of Triton 24.03 to this day.
const API_VERSION: (u32, u32) = (1, 19);
const SERVER_API_VERSION: (u32, u32) = (1, 34);

/// The files of a backend or a model are in a folder; there is no other kind.
pub(crate) const FILESYSTEM: u32 = 0;

impl Object for BackendObject {
    const KIND: Kind = Kind::Backend;

    fn registry() -> &'static Registry<Self> {
        static BACKENDS: Registry<BackendObject> = Registry::new(Kind::Backend);
        &BACKENDS
    }
}

impl BackendObject {
    pub(crate) fn policy(&self) -> Policy {
        match self.policy.load(Ordering::Relaxed) {
            1 => Policy::DeviceBlocking,
            _ => Policy::Blocking,
        }
    }
}

pub(crate) extern "C" fn api_version(major: Out<u32>, minor: Out<u32>) -> Returned {
    call("TRITONBACKEND_ApiVersion", || {
        minor.check("minor")?;
        major.set("major", API_VERSION.0)?;
        minor.set("minor", API_VERSION.1)
    })
}

/// The version of the server's own interface, as of Triton 2.49 and later.
pub(crate) extern "C" fn server_api_version(major: Out<u32>, minor: Out<u32>) -> Returned {
    call("TRITONSERVER_ApiVersion", || {
        minor.check("minor")?;
        major.set("major", SERVER_API_VERSION.0)?;
        minor.set("minor", SERVER_API_VERSION.1)
    })
}

pub(crate) extern "C" fn name(backend: Ref<BackendObject>, name: Out<*const c_char>) -> Returned {
    call("TRITONBACKEND_BackendName", || name.set("name", address(&backend.get()?.name)))
}

pub(crate) extern "C" fn config(backend: Ref<BackendObject>, config: Out<Ref<MessageObject>>) -> Returned {
    call("TRITONBACKEND_BackendConfig", || config.set("backend_config", backend.get()?.config.as_ref()))
}

pub(crate) extern "C" fn artifacts(
    backend: Ref<BackendObject>,
    kind: Out<u32>,
    location: Out<*const c_char>,
) -> Returned {
    call("TRITONBACKEND_BackendArtifacts", || {
        let backend = backend.get()?;
        location.check("location")?;
        kind.set("artifact_type", FILESYSTEM)?;
        location.set("location", address(&backend.folder))
    })
}

pub(crate) extern "C" fn execution_policy(backend: Ref<BackendObject>, policy: Out<u32>) -> Returned {
    call("TRITONBACKEND_BackendExecutionPolicy", || {
        policy.set("policy", backend.get()?.policy.load(Ordering::Relaxed))
    })
}

pub(crate) extern "C" fn set_execution_policy(backend: Ref<BackendObject>, policy: u32) -> Returned {
    call("TRITONBACKEND_BackendSetExecutionPolicy", || {
        if policy > 1 {
            return Err(misuse(format!("'policy' is {policy}, which is no execution policy")));
        }
        backend.get()?.policy.store(policy, Ordering::Relaxed);
        Ok(())
    })
}

pub(crate) extern "C" fn state(backend: Ref<BackendObject>, state: Out<*mut c_void>) -> Returned {
    call("TRITONBACKEND_BackendState", || backend.get()?.state.get(state))
}

pub(crate) extern "C" fn set_state(backend: Ref<BackendObject>, state: *mut c_void) -> Returned {
    call("TRITONBACKEND_BackendSetState", || {
        backend.get()?.state.set(state);
        Ok(())
    })
}

pub(crate) extern "C" fn memory_manager(
    backend: Ref<BackendObject>,
    manager: Out<Ref<MemoryManagerObject>>,
) -> Returned {
    call("TRITONBACKEND_BackendMemoryManager", || {
        manager.set("manager", backend.get()?.memory_manager.as_ref())
    })
}
