//! Runs whose inputs and outputs are bound to memory beforehand, also to that of a device.

#![allow(unsafe_code, reason = "calls the C interface of ONNX Runtime")]

use std::ffi::CStr;
use std::ptr::{NonNull, null_mut};
use std::slice;
use std::sync::Arc;

use hippocamp_backend::{Error, Result};
use ort::AsPointer;
use ort::memory::{Allocator, MemoryInfo};
use ort::session::{RunOptions, Session, SharedSessionInner};
use ort::sys::{OrtIoBinding, OrtMemoryInfo, OrtMemoryInfoDeviceType, OrtSession};

use super::outcome;
use super::value::Value;

/// The inputs and outputs of a session's runs. It holds what is bound to it, and the session.
#[derive(Debug)]
pub(crate) struct Binding {
    raw: NonNull<OrtIoBinding>,
    session: Arc<SharedSessionInner>,
}

// SAFETY: a binding is not bound to a thread; its owner releases it.
unsafe impl Send for Binding {}

impl Binding {
    /// Nothing is bound yet.
    pub(crate) fn new(session: &Session) -> Result<Binding> {
        let session = session.inner();
        let mut raw = null_mut();
        // SAFETY: the session is live, and is kept by the binding.
        unsafe { outcome((ort::api().CreateIoBinding)(session_of(&session), &raw mut raw))? };
        let raw = NonNull::new(raw).ok_or_else(|| Error::internal("onnx runtime gave no binding"))?;
        Ok(Binding { raw, session })
    }

    /// Binds an input. Runs read the value's memory each time; an input that the session wants elsewhere is copied now.
    pub(crate) fn input(&mut self, name: &CStr, value: &Value) -> Result<()> {
        // SAFETY: all are live. The binding shares the value's ownership.
        unsafe { outcome((ort::api().BindInput)(self.raw.as_ptr(), name.as_ptr(), value.as_ptr())) }
    }

    /// Binds an output to the memory of a value, which runs write to.
    pub(crate) fn output(&mut self, name: &CStr, value: &Value) -> Result<()> {
        // SAFETY: all are live. The binding shares the value's ownership.
        unsafe { outcome((ort::api().BindOutput)(self.raw.as_ptr(), name.as_ptr(), value.as_ptr())) }
    }

    /// Has each run allocate an output in memory of that kind.
    pub(crate) fn output_in(&mut self, name: &CStr, memory: &MemoryInfo<'_>) -> Result<()> {
        // SAFETY: all are live; the description is copied.
        unsafe { outcome((ort::api().BindOutputToDevice)(self.raw.as_ptr(), name.as_ptr(), memory.ptr())) }
    }

    /// Runs the session with what is bound.
    pub(crate) fn run(&self, options: &RunOptions) -> Result<()> {
        // SAFETY: all are live, and the caller's memory is bound by values whose makers uphold that it is valid.
        unsafe {
            outcome((ort::api().RunWithBinding)(session_of(&self.session), options.ptr(), self.raw.as_ptr()))
        }
    }

    /// The outputs of the last run, in the order in which they were bound.
    pub(crate) fn outputs(&self) -> Result<Vec<Value>> {
        let allocator = Allocator::default();
        let (mut values, mut count) = (null_mut(), 0);
        // SAFETY: the binding and the allocator are live. On success the list belongs to this function, which takes the
        // values out of it and frees it; it is null if there are none.
        unsafe {
            outcome((ort::api().GetBoundOutputValues)(
                self.raw.as_ptr(),
                allocator.ptr().cast_mut(),
                &raw mut values,
                &raw mut count,
            ))?;
            if values.is_null() {
                return Ok(Vec::new());
            }
            let taken = slice::from_raw_parts(values, count).iter().map(|value| Value::from_raw(*value));
            let taken = taken.collect();
            allocator.free(values);
            taken
        }
    }
}

impl Drop for Binding {
    fn drop(&mut self) {
        // SAFETY: the binding is live and owned; the session outlives it.
        unsafe { (ort::api().ReleaseIoBinding)(self.raw.as_ptr()) }
    }
}

fn session_of(session: &SharedSessionInner) -> *mut OrtSession {
    session.ptr().cast_mut()
}

/// Whether the session takes each of its inputs in host memory, in its own order.
pub(crate) fn inputs_on_host(session: &Session) -> Result<Vec<bool>> {
    let mut memory: Vec<*const OrtMemoryInfo> = vec![std::ptr::null(); session.inputs().len()];
    // SAFETY: the session is live, and the list has as many places as it has inputs.
    unsafe {
        outcome((ort::api().SessionGetMemoryInfoForInputs)(
            session.ptr(),
            memory.as_mut_ptr(),
            memory.len(),
        ))?;
    }
    Ok(memory.into_iter().map(is_host).collect())
}

/// Whether the session makes each of its outputs in host memory, in its own order.
pub(crate) fn outputs_on_host(session: &Session) -> Result<Vec<bool>> {
    let mut memory: Vec<*const OrtMemoryInfo> = vec![std::ptr::null(); session.outputs().len()];
    // SAFETY: the session is live, and the list has as many places as it has outputs.
    unsafe {
        outcome((ort::api().SessionGetMemoryInfoForOutputs)(
            session.ptr(),
            memory.as_mut_ptr(),
            memory.len(),
        ))?;
    }
    Ok(memory.into_iter().map(is_host).collect())
}

fn is_host(memory: *const OrtMemoryInfo) -> bool {
    if memory.is_null() {
        return true;
    }
    let mut kind = OrtMemoryInfoDeviceType::OrtMemoryInfoDeviceType_CPU;
    // SAFETY: the description belongs to the session, which the caller borrows.
    unsafe { (ort::api().MemoryInfoGetDeviceType)(memory, &raw mut kind) };
    kind == OrtMemoryInfoDeviceType::OrtMemoryInfoDeviceType_CPU
}

/// Releases the graph that was captured under this id, on the thread that captured it.
pub(crate) fn release_graph(session: &Session, id: i32) -> Result<()> {
    // SAFETY: the session is live; an unknown id is an error or does nothing.
    unsafe { outcome((ort::api().SessionReleaseCapturedGraph)(session.ptr().cast_mut(), id)) }
}
