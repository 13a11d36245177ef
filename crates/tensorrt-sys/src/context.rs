//! What executes an engine.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::null_mut;

use crate::object::{Owned, call};
use crate::slots::context as slot;
use crate::{Dims, Engine, OutputAllocator};

/// Executes an engine, one run at a time. Used by one thread at a time.
#[derive(Debug)]
pub struct Context {
    object: Owned,
    /// Dropped after the context, which may still call them.
    allocators: Vec<OutputAllocator>,
    _engine: Engine,
}

impl Context {
    pub(crate) fn new(object: Owned, engine: Engine) -> Context {
        Context { object, allocators: Vec::new(), _engine: engine }
    }

    /// The name that errors and profiles of the library have.
    pub fn set_name(&mut self, name: &CStr) {
        let object = &self.object;
        // SAFETY: the method takes a name, which it copies.
        unsafe {
            call!(object.implementation(), object.layout(), slot::SET_NAME, (name.as_ptr() => *const c_char));
        }
    }

    /// The profile that is in use; -1 if none is.
    pub fn profile(&self) -> i32 {
        let object = &self.object;
        // SAFETY: the method takes nothing and returns a number.
        unsafe { call!(object.implementation(), object.layout(), slot::GET_OPTIMIZATION_PROFILE, () -> i32) }
    }

    /// Changes the profile, by work on the stream. Shapes of inputs have to be set anew. `false` if it is refused.
    ///
    /// # Safety
    /// The stream is one of the device of the engine, and lives until the work is done.
    pub unsafe fn set_profile(&mut self, profile: i32, stream: *mut c_void) -> bool {
        let object = &self.object;
        // SAFETY: the method takes a profile and a stream and returns a bool; and the caller's word.
        unsafe {
            call!(
                object.implementation(), object.layout(), slot::SET_OPTIMIZATION_PROFILE_ASYNC,
                (profile => i32, stream => *mut c_void) -> bool
            )
        }
    }

    /// Sets the shape of an input. `false` if the profile does not have it.
    pub fn set_input_shape(&mut self, name: &CStr, dims: &Dims) -> bool {
        let object = &self.object;
        // SAFETY: the method takes a name and a shape, which it copies, and returns a bool.
        unsafe {
            call!(
                object.implementation(), object.layout(), slot::SET_INPUT_SHAPE,
                (name.as_ptr() => *const c_char, dims => *const Dims) -> bool
            )
        }
    }

    /// The shape that a tensor has under the shapes of the inputs; -1 for what only a run can tell.
    pub fn shape(&self, name: &CStr) -> Option<Dims> {
        let object = &self.object;
        // SAFETY: the method takes a name and returns a shape.
        let dims = unsafe {
            call!(
                object.implementation(), object.layout(), slot::GET_TENSOR_SHAPE,
                (name.as_ptr() => *const c_char) -> Dims
            )
        };
        dims.get().is_some().then_some(dims)
    }

    /// The most bytes that an output can take under the shapes of the inputs; negative if that is not known.
    pub fn max_output_size(&self, name: &CStr) -> i64 {
        let object = &self.object;
        // SAFETY: the method takes a name and returns a number.
        unsafe {
            call!(
                object.implementation(), object.layout(), slot::GET_MAX_OUTPUT_SIZE,
                (name.as_ptr() => *const c_char) -> i64
            )
        }
    }

    /// Sets where a tensor is. `false` if the library refuses the address.
    ///
    /// # Safety
    /// From the next [`enqueue`](Context::enqueue) until its work is done, the address is of memory in the place that the engine
    /// says for the tensor, of as many bytes as its shape takes; an input of the host until [`infer_shapes`](Self::infer_shapes)
    /// and `enqueue` have returned.
    pub unsafe fn set_address(&mut self, name: &CStr, address: *mut c_void) -> bool {
        let object = &self.object;
        // SAFETY: the method takes a name and an address and returns a bool; and the caller's word.
        unsafe {
            call!(
                object.implementation(), object.layout(), slot::SET_TENSOR_ADDRESS,
                (name.as_ptr() => *const c_char, address => *mut c_void) -> bool
            )
        }
    }

    /// Sets what gives memory for an output whose shape only a run tells, and is told of its shape.
    pub fn set_output_allocator(&mut self, name: &CStr, allocator: OutputAllocator) -> bool {
        let object = &self.object;
        // SAFETY: the method takes a name and an allocator, which lives as long as the context, and returns a bool.
        let is_set = unsafe {
            call!(
                object.implementation(), object.layout(), slot::SET_OUTPUT_ALLOCATOR,
                (name.as_ptr() => *const c_char, allocator.as_ptr() => *mut c_void) -> bool
            )
        };
        self.allocators.push(allocator);
        is_set
    }

    /// Derives the shapes of outputs. The number of inputs whose shape or values are missing; negative for inputs that contradict
    /// each other, which the library says in its log.
    pub fn infer_shapes(&mut self) -> i32 {
        let object = &self.object;
        // SAFETY: the method takes a length and an array for as many names, and returns a number.
        unsafe {
            call!(
                object.implementation(), object.layout(), slot::INFER_SHAPES,
                (0 => i32, null_mut() => *mut *const c_char) -> i32
            )
        }
    }

    /// Puts a run onto the stream. `false` if the library refuses it, which it says in its log.
    ///
    /// # Safety
    /// The stream is one of the device of the engine, current on this thread, and lives until the work is done; and what was
    /// promised of addresses.
    pub unsafe fn enqueue(&mut self, stream: *mut c_void) -> bool {
        let object = &self.object;
        // SAFETY: the method takes a stream and returns a bool; and the caller's word.
        unsafe {
            call!(object.implementation(), object.layout(), slot::ENQUEUE_V3, (stream => *mut c_void) -> bool)
        }
    }
}
