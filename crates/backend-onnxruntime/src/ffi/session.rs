//! Calls on sessions and session options.

#![allow(unsafe_code, reason = "calls the C interface of ONNX Runtime")]

use std::ffi::{CStr, CString, c_char};
use std::ptr::null;

use hippocamp_backend::{Error, Result};
use ort::AsPointer;
use ort::session::builder::SessionBuilder;
use ort::session::{RunOptions, Session};
use smallvec::SmallVec;

use super::outcome;
use super::value::{Input, Value};

/// Runs the model with inputs and outputs by name. The results come in the order of the output names.
///
/// A session may run on several threads at once if its operators are those of the CPU. The crate `ort` asks for `&mut`
/// because of other providers; `sessions.rs` decides which sessions are shared.
pub(crate) fn run(
    session: &Session,
    options: Option<&RunOptions>,
    inputs: &[(&CStr, Input<'_>)],
    outputs: &[&CStr],
) -> Result<SmallVec<[Value; 4]>> {
    let input_names: SmallVec<[_; 8]> = inputs.iter().map(|(name, _)| name.as_ptr()).collect();
    let input_values: SmallVec<[_; 8]> = inputs.iter().map(|(_, input)| input.as_ptr()).collect();
    let output_names: SmallVec<[_; 8]> = outputs.iter().map(|name| name.as_ptr()).collect();
    let mut results: SmallVec<[_; 8]> = SmallVec::from_elem(std::ptr::null_mut(), outputs.len());
    // SAFETY: the session is live, and the C interface allows concurrent runs of it. Names and values are lists of the
    // given lengths, of C strings and live values; the engine keeps none of them after the call.
    unsafe {
        outcome((ort::api().Run)(
            session.ptr().cast_mut(),
            options.map_or(null(), AsPointer::ptr),
            input_names.as_ptr(),
            input_values.as_ptr(),
            input_values.len(),
            output_names.as_ptr(),
            output_names.len(),
            results.as_mut_ptr(),
        ))?;
    }
    // SAFETY: after success each result is null or a value that this function owns.
    results.into_iter().map(|result| unsafe { Value::from_raw(result) }).collect()
}

/// Sets whether the session's CPU memory comes from an arena, which keeps freed memory for reuse.
pub(crate) fn set_mem_arena(builder: &mut SessionBuilder, enable: bool) -> Result<()> {
    let api = ort::api();
    let call = if enable { api.EnableCpuMemArena } else { api.DisableCpuMemArena };
    // SAFETY: the options live as long as their builder, which is borrowed mutably.
    unsafe { outcome(call(builder.ptr_mut())) }
}

/// Passes the content of a file with weights to the engine, which then does not read the file beside the model. The
/// content has to stay alive until the session is created, which copies what it keeps.
pub(crate) fn give_external_file(builder: &mut SessionBuilder, name: &str, content: &[u8]) -> Result<()> {
    let name = CString::new(name).map_err(|e| Error::invalid_arg(e.to_string()))?;
    let name_start = name.as_ptr();
    let size = content.len();
    let content_start = content.as_ptr().cast::<c_char>().cast_mut();
    // SAFETY: lists of one element each. The name is a C string that is copied; the content is only read.
    unsafe {
        outcome((ort::api().AddExternalInitializersFromMemory)(
            builder.ptr_mut(),
            &raw const name_start,
            &raw const content_start,
            &raw const size,
            1,
        ))
    }
}

/// The kinds of tensors that a session lists.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ports {
    Inputs,
    Outputs,
    OverridableInitializers,
}

/// Whether the model declares the tensor's rank. Otherwise a scalar cannot be told from a tensor of any shape.
pub(crate) fn has_shape(session: &Session, ports: Ports, index: usize) -> Result<bool> {
    let api = ort::api();
    let info_of = match ports {
        Ports::Inputs => api.SessionGetInputTypeInfo,
        Ports::Outputs => api.SessionGetOutputTypeInfo,
        Ports::OverridableInitializers => api.SessionGetOverridableInitializerTypeInfo,
    };
    let mut info = std::ptr::null_mut();
    let mut tensor = null();
    // SAFETY: the session is live; an invalid index is an error. On success this function owns the info and releases
    // it.
    unsafe { outcome(info_of(session.ptr(), index, &raw mut info))? };
    // SAFETY: the info is live until it is released below, and so is its tensor part, which is null for other types.
    unsafe {
        let cast = outcome((api.CastTypeInfoToTensorInfo)(info, &raw mut tensor));
        let known = cast.map(|()| !tensor.is_null() && (api.TensorTypeAndShape_HasShape)(tensor));
        (api.ReleaseTypeInfo)(info);
        known
    }
}
