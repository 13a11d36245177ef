//! A plan in the memory of a GPU.

use std::ffi::{CStr, c_char, c_void};
use std::sync::Arc;

use crate::object::{Owned, call, place};
use crate::slots::Slot;
use crate::slots::engine as slot;
use crate::{Context, DataType, Dims, IoMode, Runtime, TensorFormat, TensorLocation};

/// A plan that was read, from which execution contexts are made. A clone is the same engine.
#[derive(Clone, Debug)]
pub struct Engine(pub(crate) Arc<Loaded>);

/// Fields are dropped in their order: the engine before what made it.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) object: Owned,
    _runtime: Runtime,
}

/// Which shape of a profile is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Selector {
    Min,
    Opt,
    Max,
}

impl Engine {
    pub(crate) fn new(object: Owned, runtime: Runtime) -> Engine {
        Engine(Arc::new(Loaded { object, _runtime: runtime }))
    }

    /// Makes a context that has its device memory from the start. `None` if the library refuses, such as for want of memory,
    /// which it says in its log.
    pub fn context(&self) -> Option<Context> {
        let object = &self.0.object;
        // SAFETY: the method takes a strategy, of which 0 is that one, and returns a context that is the caller's, or null.
        let context = unsafe {
            let context = call!(
                object.implementation(), object.layout(), slot::CREATE_EXECUTION_CONTEXT, (0 => i32) -> *mut c_void
            );
            Owned::new(context, object.library())
        };
        context.map(|context| Context::new(context, self.clone()))
    }

    /// The name that the network was given.
    pub fn name(&self) -> String {
        // SAFETY: the method takes nothing and returns a text of the engine's, or null.
        unsafe { text(self.get::<*const c_char>(slot::GET_NAME)) }.unwrap_or_default()
    }

    /// How many optimisation profiles there are. At least 1.
    pub fn profile_count(&self) -> i32 {
        // SAFETY: the method takes nothing and returns a number.
        unsafe { self.get(slot::GET_NB_OPTIMIZATION_PROFILES) }
    }

    /// Whether the plan's tensors lack the batch's dimension. Only TensorRT before 11 knows that; 10 cannot build such any more.
    pub fn has_implicit_batch(&self) -> bool {
        let is_known = slot::HAS_IMPLICIT_BATCH_DIMENSION.place(self.0.object.layout()).is_some();
        // SAFETY: the method takes nothing and returns a bool.
        is_known && unsafe { self.get(slot::HAS_IMPLICIT_BATCH_DIMENSION) }
    }

    /// The bytes of device memory that a context takes.
    pub fn device_memory_size(&self) -> i64 {
        // SAFETY: the method takes nothing and returns a number.
        unsafe { self.get(slot::GET_DEVICE_MEMORY_SIZE) }
    }

    /// The names of inputs and outputs, in the plan's order.
    pub fn tensor_names(&self) -> Vec<String> {
        let object = &self.0.object;
        // SAFETY: the method takes nothing and returns a number.
        let count: i32 = unsafe { self.get(slot::GET_NB_IO_TENSORS) };
        // SAFETY: the method takes an index and returns a text of the engine's, or null.
        let name = |index: i32| unsafe {
            text(call!(
                object.implementation(), object.layout(), slot::GET_IO_TENSOR_NAME, (index => i32) -> *const c_char
            ))
        };
        (0..count.max(0)).filter_map(name).collect()
    }

    /// The shape of a tensor, with -1 for what varies; `None` if there is no tensor of that name.
    pub fn shape(&self, name: &CStr) -> Option<Dims> {
        // SAFETY: the method takes a name and returns a shape.
        let dims: Dims = unsafe { self.of_tensor(slot::GET_TENSOR_SHAPE, name) };
        dims.get().is_some().then_some(dims)
    }

    /// The type of a tensor's elements, or the library's number of a type that is not known.
    pub fn data_type(&self, name: &CStr) -> Result<DataType, i32> {
        // SAFETY: the method takes a name and returns a number.
        let number = unsafe { self.of_tensor(slot::GET_TENSOR_DATA_TYPE, name) };
        DataType::of_number(number).ok_or(number)
    }

    /// Where a tensor's memory has to be.
    pub fn location(&self, name: &CStr) -> TensorLocation {
        // SAFETY: the method takes a name and returns a number.
        let number = unsafe { self.of_tensor(slot::GET_TENSOR_LOCATION, name) };
        TensorLocation::of_number(number).unwrap_or(TensorLocation::Device)
    }

    /// Whether a tensor's values decide on shapes, or are shapes.
    pub fn is_shape_tensor(&self, name: &CStr) -> bool {
        // SAFETY: the method takes a name and returns a bool.
        unsafe { self.of_tensor(slot::IS_SHAPE_INFERENCE_IO, name) }
    }

    /// Whether a tensor is an input or an output.
    pub fn io_mode(&self, name: &CStr) -> IoMode {
        // SAFETY: the method takes a name and returns a number.
        let number = unsafe { self.of_tensor(slot::GET_TENSOR_IO_MODE, name) };
        IoMode::of_number(number).unwrap_or(IoMode::None)
    }

    /// The order of a tensor's elements under a profile, or the library's number of one that is not known.
    pub fn format(&self, name: &CStr, profile: i32) -> Result<TensorFormat, i32> {
        let object = &self.0.object;
        // SAFETY: the method takes a name and a profile and returns a number.
        let number = unsafe {
            call!(
                object.implementation(), object.layout(), slot::GET_TENSOR_FORMAT,
                (name.as_ptr() => *const c_char, profile => i32) -> i32
            )
        };
        TensorFormat::of_number(number).ok_or(number)
    }

    /// The library's own description of that order.
    pub fn format_description(&self, name: &CStr, profile: i32) -> String {
        let object = &self.0.object;
        // SAFETY: the method takes a name and a profile and returns a text of the engine's, or null.
        unsafe {
            text(call!(
                object.implementation(), object.layout(), slot::GET_TENSOR_FORMAT_DESC,
                (name.as_ptr() => *const c_char, profile => i32) -> *const c_char
            ))
        }
        .unwrap_or_default()
    }

    /// A shape of an input under a profile; `None` if the library knows none.
    pub fn profile_shape(&self, name: &CStr, profile: i32, selector: Selector) -> Option<Dims> {
        let object = &self.0.object;
        // SAFETY: the method takes a name, a profile and which of its shapes, and returns a shape.
        let dims = unsafe {
            call!(
                object.implementation(), object.layout(), slot::GET_PROFILE_SHAPE,
                (name.as_ptr() => *const c_char, profile => i32, selector as i32 => i32) -> Dims
            )
        };
        dims.get().is_some().then_some(dims)
    }

    /// The `count` values of a shape tensor among the inputs under a profile; `None` if the library knows none.
    pub fn profile_values(
        &self,
        name: &CStr,
        profile: i32,
        selector: Selector,
        count: usize,
    ) -> Option<Vec<i64>> {
        let object = &self.0.object;
        let layout = object.layout();
        let is_narrow = slot::GET_PROFILE_TENSOR_VALUES.place(layout).is_some();
        let slot =
            if is_narrow { slot::GET_PROFILE_TENSOR_VALUES } else { slot::GET_PROFILE_TENSOR_VALUES_V2 };
        // SAFETY: both methods take a name, a profile and which of its values, and return an array or null.
        let values = unsafe {
            call!(
                object.implementation(), layout, slot,
                (name.as_ptr() => *const c_char, profile => i32, selector as i32 => i32) -> *const c_void
            )
        };
        if values.is_null() {
            return None;
        }
        // SAFETY: the array has a value for each element of the tensor, which the caller counted by the tensor's shape, and
        // lives as long as the engine.
        Some(unsafe {
            if is_narrow {
                let values = std::slice::from_raw_parts(values.cast::<i32>(), count);
                values.iter().map(|value| i64::from(*value)).collect()
            } else {
                std::slice::from_raw_parts(values.cast::<i64>(), count).to_vec()
            }
        })
    }

    /// # Safety
    /// The method takes nothing and returns an `R`.
    unsafe fn get<R>(&self, slot: Slot) -> R {
        let object = &self.0.object;
        // SAFETY: the caller's word.
        unsafe { call!(object.implementation(), object.layout(), slot, () -> R) }
    }

    /// # Safety
    /// The method takes a name and returns an `R`.
    unsafe fn of_tensor<R>(&self, slot: Slot, name: &CStr) -> R {
        let object = &self.0.object;
        debug_assert!(place(&slot, object.layout()) > 0);
        // SAFETY: the caller's word.
        unsafe {
            call!(object.implementation(), object.layout(), slot, (name.as_ptr() => *const c_char) -> R)
        }
    }
}

/// A text of the library's; `None` if it is null.
///
/// # Safety
/// It ends with a null byte and lives during the call.
pub(crate) unsafe fn text(text: *const c_char) -> Option<String> {
    // SAFETY: checked for null, and the caller's word.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}
