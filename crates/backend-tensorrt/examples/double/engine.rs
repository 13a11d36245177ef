//! The engine.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::null;
use std::sync::Arc;

use hippocamp_tensorrt_sys::Dims;
use hippocamp_tensorrt_sys::slots::engine as slot;

use crate::object::{Log, data, make as object};
use crate::plan::{Plan, Tensor};
use crate::{context, leaked};

struct Engine {
    log: Log,
    plan: Arc<Plan>,
    /// The values of shape tensors, for callers that get pointers to them.
    narrow: Vec<Vec<i32>>,
    wide: Vec<Vec<i64>>,
}

pub(crate) fn make(log: Log, plan: Plan) -> *mut c_void {
    object(
        Engine { log, plan: Arc::new(plan), narrow: Vec::new(), wide: Vec::new() },
        &[
            (slot::CREATE_EXECUTION_CONTEXT, create_context as *const c_void),
            (slot::GET_NAME, name as *const c_void),
            (slot::GET_NB_OPTIMIZATION_PROFILES, profiles as *const c_void),
            (slot::HAS_IMPLICIT_BATCH_DIMENSION, implicit_batch as *const c_void),
            (slot::GET_TENSOR_SHAPE, shape as *const c_void),
            (slot::GET_TENSOR_DATA_TYPE, data_type as *const c_void),
            (slot::GET_TENSOR_LOCATION, location as *const c_void),
            (slot::IS_SHAPE_INFERENCE_IO, is_shape as *const c_void),
            (slot::GET_TENSOR_IO_MODE, io_mode as *const c_void),
            (slot::GET_PROFILE_SHAPE, profile_shape as *const c_void),
            (slot::GET_NB_IO_TENSORS, tensor_count as *const c_void),
            (slot::GET_IO_TENSOR_NAME, tensor_name as *const c_void),
            (slot::GET_TENSOR_FORMAT, format as *const c_void),
            (slot::GET_TENSOR_FORMAT_DESC, format_description as *const c_void),
            (slot::GET_DEVICE_MEMORY_SIZE, memory_size as *const c_void),
            (slot::GET_PROFILE_TENSOR_VALUES, narrow_values as *const c_void),
            (slot::GET_PROFILE_TENSOR_VALUES_V2, wide_values as *const c_void),
        ],
    )
}

/// # Safety
/// `this` is an engine, and the name ends with a null byte.
unsafe fn tensor<'a>(this: *mut c_void, name: *const c_char) -> Option<&'a Tensor> {
    // SAFETY: the caller's word; the plan lives as long as the engine.
    unsafe {
        let name = CStr::from_ptr(name).to_str().ok()?;
        data::<Engine>(this).plan.tensor(name)
    }
}

unsafe extern "C" fn create_context(this: *mut c_void, _strategy: i32) -> *mut c_void {
    // SAFETY: called as a method of an engine; so are the functions below.
    let engine = unsafe { data::<Engine>(this) };
    context::make(engine.log, Arc::clone(&engine.plan))
}

unsafe extern "C" fn name(_this: *mut c_void) -> *const c_char {
    c"double".as_ptr()
}

unsafe extern "C" fn profiles(this: *mut c_void) -> i32 {
    // SAFETY: as above.
    unsafe { data::<Engine>(this) }.plan.profiles as i32
}

unsafe extern "C" fn implicit_batch(this: *mut c_void) -> bool {
    // SAFETY: as above.
    unsafe { data::<Engine>(this) }.plan.has_implicit_batch
}

unsafe extern "C" fn shape(this: *mut c_void, name: *const c_char) -> Dims {
    // SAFETY: as above.
    unsafe { tensor(this, name) }.map_or(Dims::INVALID, Tensor::dims)
}

unsafe extern "C" fn data_type(this: *mut c_void, name: *const c_char) -> i32 {
    // SAFETY: as above.
    unsafe { tensor(this, name) }.map_or(0, |tensor| tensor.data_type.number())
}

unsafe extern "C" fn location(this: *mut c_void, name: *const c_char) -> i32 {
    // SAFETY: as above.
    unsafe { tensor(this, name) }.map_or(0, |tensor| i32::from(tensor.on_host))
}

unsafe extern "C" fn is_shape(this: *mut c_void, name: *const c_char) -> bool {
    // SAFETY: as above.
    unsafe { tensor(this, name) }.is_some_and(|tensor| tensor.is_shape)
}

unsafe extern "C" fn io_mode(this: *mut c_void, name: *const c_char) -> i32 {
    // SAFETY: as above.
    unsafe { tensor(this, name) }.map_or(0, |tensor| if tensor.is_input { 1 } else { 2 })
}

unsafe extern "C" fn profile_shape(
    this: *mut c_void,
    name: *const c_char,
    profile: i32,
    selector: i32,
) -> Dims {
    // SAFETY: as above.
    let Some(tensor) = (unsafe { tensor(this, name) }) else { return Dims::INVALID };
    if tensor.is_shape || !tensor.is_input {
        return tensor.dims();
    }
    let range = tensor.ranges.get(profile as usize).and_then(|range| range.get(selector as usize));
    range.and_then(|dims| Dims::new(dims)).unwrap_or_else(|| tensor.dims())
}

unsafe extern "C" fn tensor_count(this: *mut c_void) -> i32 {
    // SAFETY: as above.
    unsafe { data::<Engine>(this) }.plan.tensors.len() as i32
}

unsafe extern "C" fn tensor_name(this: *mut c_void, index: i32) -> *const c_char {
    // SAFETY: as above.
    let tensors = unsafe { &data::<Engine>(this).plan.tensors };
    tensors.get(index as usize).map_or(null(), |tensor| leaked(&tensor.name).as_ptr())
}

unsafe extern "C" fn format(this: *mut c_void, name: *const c_char, _profile: i32) -> i32 {
    // SAFETY: as above.
    unsafe { tensor(this, name) }.map_or(0, |tensor| tensor.format)
}

unsafe extern "C" fn format_description(
    _this: *mut c_void,
    _name: *const c_char,
    _profile: i32,
) -> *const c_char {
    c"a format of the double".as_ptr()
}

unsafe extern "C" fn memory_size(_this: *mut c_void) -> i64 {
    0
}

/// # Safety
/// As of [`tensor`].
unsafe fn values(this: *mut c_void, name: *const c_char, profile: i32, selector: i32) -> Option<Vec<i64>> {
    // SAFETY: the caller's word.
    let tensor = unsafe { tensor(this, name) }?;
    let range = tensor.ranges.get(profile as usize).filter(|_| tensor.is_shape)?;
    range.get(selector as usize).cloned()
}

unsafe extern "C" fn narrow_values(
    this: *mut c_void,
    name: *const c_char,
    profile: i32,
    selector: i32,
) -> *const i32 {
    // SAFETY: as above.
    unsafe {
        let Some(values) = values(this, name, profile, selector) else { return null() };
        let kept = &mut data::<Engine>(this).narrow;
        kept.push(values.iter().map(|value| *value as i32).collect());
        kept.last().map_or(null(), Vec::as_ptr)
    }
}

unsafe extern "C" fn wide_values(
    this: *mut c_void,
    name: *const c_char,
    profile: i32,
    selector: i32,
) -> *const i64 {
    // SAFETY: as above.
    unsafe {
        let Some(values) = values(this, name, profile, selector) else { return null() };
        let kept = &mut data::<Engine>(this).wide;
        kept.push(values);
        kept.last().map_or(null(), Vec::as_ptr)
    }
}
