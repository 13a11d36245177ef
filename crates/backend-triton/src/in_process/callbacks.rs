//! The functions by which the host calls a backend back, and the pointers that they get.

use std::ffi::{c_char, c_void};
use std::ptr::with_exposed_provenance_mut;

use super::allocator::AllocatorObject;
use super::request::InferenceRequestObject;
use super::response::InferenceResponseObject;
use crate::border::{Ref, Returned};

/// A pointer of the backend's, which the host only hands back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opaque(usize);

impl Opaque {
    pub(crate) fn of(pointer: *mut c_void) -> Opaque {
        Opaque(pointer.expose_provenance())
    }

    pub(crate) fn pointer(self) -> *mut c_void {
        with_exposed_provenance_mut(self.0)
    }
}

/// Allocates an output: allocator, name, size, preferred memory and its id, the backend's pointer; then where the buffer, the backend's
/// pointer of the buffer, and actual memory and id are written.
pub(crate) type Allocate = extern "C" fn(
    Ref<AllocatorObject>,
    *const c_char,
    usize,
    u32,
    i64,
    *mut c_void,
    *mut *mut c_void,
    *mut *mut c_void,
    *mut u32,
    *mut i64,
) -> Returned;

/// Takes a buffer back: allocator, the buffer and the backend's pointer of it, size, memory and its id.
pub(crate) type GiveBack =
    extern "C" fn(Ref<AllocatorObject>, *mut c_void, *mut c_void, usize, u32, i64) -> Returned;

/// Told before the first output of a response is allocated.
pub(crate) type Start = extern "C" fn(Ref<AllocatorObject>, *mut c_void) -> Returned;

/// Asked what memory an output would get.
pub(crate) type Query = extern "C" fn(
    Ref<AllocatorObject>,
    *mut c_void,
    *const c_char,
    *mut usize,
    *mut u32,
    *mut i64,
) -> Returned;

/// Gets a request back, with flags and the backend's pointer.
pub(crate) type Released = extern "C" fn(Ref<InferenceRequestObject>, u32, *mut c_void);

/// Gets a response, or NULL, with flags and the backend's pointer.
pub(crate) type Responded = extern "C" fn(Ref<InferenceResponseObject>, u32, *mut c_void);
