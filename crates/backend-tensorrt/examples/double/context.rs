//! The execution context.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_void};
use std::sync::Arc;

use hippocamp_tensorrt_sys::Dims;
use hippocamp_tensorrt_sys::slots::context as slot;

use crate::object::{Log, data, make as object};
use crate::plan::{Plan, Size};
use crate::run;

/// What a context was told.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) log: Log,
    pub(crate) plan: Arc<Plan>,
    profile: i32,
    pub(crate) shapes: BTreeMap<String, Vec<i64>>,
    pub(crate) addresses: BTreeMap<String, u64>,
    pub(crate) allocators: BTreeMap<String, usize>,
}

pub(crate) fn make(log: Log, plan: Arc<Plan>) -> *mut c_void {
    let shapes = BTreeMap::new();
    object(
        Context { log, plan, profile: 0, shapes, addresses: BTreeMap::new(), allocators: BTreeMap::new() },
        &[
            (slot::SET_NAME, set_name as *const c_void),
            (slot::GET_OPTIMIZATION_PROFILE, profile as *const c_void),
            (slot::SET_OPTIMIZATION_PROFILE_ASYNC, set_profile as *const c_void),
            (slot::SET_INPUT_SHAPE, set_input_shape as *const c_void),
            (slot::GET_TENSOR_SHAPE, shape as *const c_void),
            (slot::SET_TENSOR_ADDRESS, set_address as *const c_void),
            (slot::INFER_SHAPES, infer_shapes as *const c_void),
            (slot::SET_OUTPUT_ALLOCATOR, set_allocator as *const c_void),
            (slot::GET_MAX_OUTPUT_SIZE, max_output_size as *const c_void),
            (slot::ENQUEUE_V3, enqueue as *const c_void),
        ],
    )
}

impl Context {
    /// The shape of a tensor under the shapes of the inputs; -1 for what only a run tells.
    pub(crate) fn shape(&self, name: &str) -> Option<Vec<i64>> {
        let tensor = self.plan.tensor(name)?;
        if tensor.is_input {
            return self.shapes.get(name).cloned().or_else(|| tensor.dims().get().map(<[i64]>::to_vec));
        }
        let size = |size: &Size| match size {
            Size::Fixed(size) => Some(*size),
            Size::OfShape(input, index) => self.shape(input)?.get(*index).copied(),
            Size::OfValues(input, index) => self.values(input)?.get(*index).copied(),
        };
        tensor.sizes.iter().map(size).collect()
    }

    /// The values of a shape tensor among the inputs, which is in host memory.
    pub(crate) fn values(&self, name: &str) -> Option<Vec<i64>> {
        let count = self.shape(name)?.iter().product::<i64>() as usize;
        let address = *self.addresses.get(name)? as usize;
        let is_wide = self.plan.tensor(name)?.data_type.number() == 8;
        // SAFETY: the caller has set the address of as many values in host memory.
        Some(unsafe {
            if is_wide {
                (0..count).map(|n| (address as *const i64).add(n).read_unaligned()).collect()
            } else {
                (0..count).map(|n| (address as *const i32).add(n).read_unaligned().into()).collect()
            }
        })
    }

    /// Whether the profile takes a shape, or values.
    fn takes(&self, name: &str, got: &[i64]) -> bool {
        let Some(tensor) = self.plan.tensor(name) else { return false };
        match tensor.ranges.get(self.profile as usize) {
            Some([min, _, max]) => {
                got.len() == min.len()
                    && got.iter().zip(min.iter().zip(max)).all(|(got, (min, max))| (min..=max).contains(&got))
            }
            None => true,
        }
    }
}

/// # Safety
/// The name ends with a null byte.
unsafe fn own(name: *const c_char) -> String {
    // SAFETY: the caller's word.
    unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
}

unsafe extern "C" fn set_name(_this: *mut c_void, _name: *const c_char) {}

unsafe extern "C" fn profile(this: *mut c_void) -> i32 {
    // SAFETY: called as a method of a context; so are the functions below.
    unsafe { data::<Context>(this) }.profile
}

unsafe extern "C" fn set_profile(this: *mut c_void, profile: i32, _stream: *mut c_void) -> bool {
    // SAFETY: as above.
    let context = unsafe { data::<Context>(this) };
    if !(0..context.plan.profiles as i32).contains(&profile) {
        context.log.error(&format!("there is no profile {profile}"));
        return false;
    }
    context.profile = profile;
    context.shapes.clear();
    true
}

unsafe extern "C" fn set_input_shape(this: *mut c_void, name: *const c_char, dims: *const Dims) -> bool {
    // SAFETY: as above; the shape is passed by reference.
    let (context, name, dims) = unsafe { (data::<Context>(this), own(name), &*dims) };
    let Some(dims) = dims.get() else { return false };
    let is_shape = context.plan.tensor(&name).is_some_and(|tensor| tensor.is_shape);
    if !is_shape && !context.takes(&name, dims) {
        context.log.error(&format!("the profile does not take {dims:?} for {name}"));
        return false;
    }
    context.shapes.insert(name, dims.to_vec());
    true
}

unsafe extern "C" fn shape(this: *mut c_void, name: *const c_char) -> Dims {
    // SAFETY: as above.
    let (context, name) = unsafe { (data::<Context>(this), own(name)) };
    context.shape(&name).and_then(|dims| Dims::new(&dims)).unwrap_or(Dims::INVALID)
}

unsafe extern "C" fn set_address(this: *mut c_void, name: *const c_char, address: *mut c_void) -> bool {
    // SAFETY: as above.
    let (context, name) = unsafe { (data::<Context>(this), own(name)) };
    if address.is_null() {
        context.log.error(&format!("the address of {name} is null"));
        return false;
    }
    context.addresses.insert(name, address as u64).is_none_or(|_| true)
}

unsafe extern "C" fn infer_shapes(this: *mut c_void, _count: i32, _names: *mut *const c_char) -> i32 {
    // SAFETY: as above.
    let context = unsafe { data::<Context>(this) };
    let inputs: Vec<_> = context.plan.tensors.iter().filter(|tensor| tensor.is_input).cloned().collect();
    let mut missing = 0;
    for tensor in inputs {
        if context.shape(&tensor.name).is_none_or(|dims| dims.contains(&-1)) {
            missing += 1;
        } else if tensor.is_shape {
            let Some(values) = context.values(&tensor.name) else { return -1 };
            if !context.takes(&tensor.name, &values) {
                context
                    .log
                    .error(&format!("the profile does not take the values {values:?} of {}", tensor.name));
                return -1;
            }
        }
    }
    missing
}

unsafe extern "C" fn set_allocator(this: *mut c_void, name: *const c_char, allocator: *mut c_void) -> bool {
    // SAFETY: as above.
    let (context, name) = unsafe { (data::<Context>(this), own(name)) };
    context.allocators.insert(name, allocator as usize);
    true
}

unsafe extern "C" fn max_output_size(_this: *mut c_void, _name: *const c_char) -> i64 {
    -1
}

unsafe extern "C" fn enqueue(this: *mut c_void, stream: *mut c_void) -> bool {
    // SAFETY: as above.
    let context = unsafe { data::<Context>(this) };
    match run::run(context, stream) {
        Ok(()) => true,
        Err(why) => {
            context.log.error(&format!("IExecutionContext::enqueueV3: Error Code 1: {why}"));
            false
        }
    }
}
