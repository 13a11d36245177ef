//! The functions that a backend's library offers to the host.

#![allow(unsafe_code, reason = "takes functions out of a library by their names")]

use std::ffi::c_void;

use libloading::os::unix::{Library, Symbol};

use super::exceptions::caught;
use crate::border::{Ref, Returned};
use crate::life::{AttributeObject, BackendObject, InstanceObject, ModelObject};
use crate::request::RequestObject;

type Of<T> = Option<unsafe extern "C-unwind" fn(Ref<T>) -> Returned>;

/// The functions by which the host calls a backend. All but `execute` may be missing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryPoints {
    pub(crate) initialize: Of<BackendObject>,
    pub(crate) finalize: Of<BackendObject>,
    pub(crate) attribute:
        Option<unsafe extern "C-unwind" fn(Ref<BackendObject>, Ref<AttributeObject>) -> Returned>,
    pub(crate) model_initialize: Of<ModelObject>,
    pub(crate) model_finalize: Of<ModelObject>,
    pub(crate) instance_initialize: Of<InstanceObject>,
    pub(crate) instance_finalize: Of<InstanceObject>,
    /// Added in Triton 25.12, without a new number of the interface's version.
    pub(crate) instance_ready: Of<InstanceObject>,
    pub(crate) execute:
        unsafe extern "C-unwind" fn(Ref<InstanceObject>, *const Ref<RequestObject>, u32) -> Returned,
}

impl EntryPoints {
    /// The functions of a library that is open for good.
    pub(crate) fn find(library: &Library) -> Result<EntryPoints, String> {
        Ok(EntryPoints {
            initialize: find(library, c"TRITONBACKEND_Initialize"),
            finalize: find(library, c"TRITONBACKEND_Finalize"),
            attribute: find(library, c"TRITONBACKEND_GetBackendAttribute"),
            model_initialize: find(library, c"TRITONBACKEND_ModelInitialize"),
            model_finalize: find(library, c"TRITONBACKEND_ModelFinalize"),
            instance_initialize: find(library, c"TRITONBACKEND_ModelInstanceInitialize"),
            instance_finalize: find(library, c"TRITONBACKEND_ModelInstanceFinalize"),
            instance_ready: find(library, c"TRITONBACKEND_ModelInstanceReady"),
            execute: find(library, c"TRITONBACKEND_ModelInstanceExecute").ok_or(
                "it has no function TRITONBACKEND_ModelInstanceExecute, which every backend has to have",
            )?,
        })
    }
}

/// A function; `None` if the library does not have it.
pub(super) fn find<F: Copy>(library: &Library, name: &std::ffi::CStr) -> Option<F> {
    const { assert!(size_of::<F>() == size_of::<*const c_void>(), "F is a function pointer") };
    // SAFETY: the functions of a backend have the types that the interface gives them.
    let symbol: Symbol<F> = unsafe { library.get(name) }.ok()?;
    Some(*symbol)
}

/// Calls an entry point that a backend may leave out.
pub(crate) fn call_if_there<T>(function: Of<T>, object: Ref<T>) -> hippocamp_backend::Result<()> {
    let Some(function) = function else { return Ok(()) };
    // SAFETY: the library stays open, and the handle is good. What the backend does is its own business.
    caught(|| unsafe { function(object) }.into_result())
}

/// Asks a backend for its attributes, if it has any.
pub(crate) fn ask_attributes(
    entry_points: &EntryPoints,
    backend: Ref<BackendObject>,
    attribute: Ref<AttributeObject>,
) -> hippocamp_backend::Result<()> {
    let Some(ask) = entry_points.attribute else { return Ok(()) };
    // SAFETY: as above.
    caught(|| unsafe { ask(backend, attribute) }.into_result())
}

/// Has an instance execute requests.
pub(crate) fn execute(
    entry_points: &EntryPoints,
    instance: Ref<InstanceObject>,
    requests: &[Ref<RequestObject>],
) -> hippocamp_backend::Result<()> {
    caught(|| {
        // SAFETY: as above; the array stays during the call.
        unsafe { (entry_points.execute)(instance, requests.as_ptr(), requests.len() as u32) }.into_result()
    })
}
