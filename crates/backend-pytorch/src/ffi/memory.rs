//! The memory of the library's tensors is that of this program.
//!
//! By itself the library takes it from the C library, which gives large pieces back to the kernel as soon as they are free: each run gets
//! the pages of its intermediate tensors anew, which costs a convolution more than its arithmetic.

use std::alloc::{Layout, alloc, dealloc};
use std::ffi::c_void;

use hippocamp_machine::available_memory;
use hippocamp_tensor::ALIGNMENT;

use super::api::Memory;

pub(super) const OF_THIS_PROGRAM: Memory = Memory { allocate, release };

/// From this size on, in bytes, a tensor is compared with the memory that is left, for which two files of the kernel are read.
const LARGE: usize = 64 << 20;

/// Called on any thread, never for nothing. Null if there is no memory. The size may be a number of a request's: of more than there is
/// the allocator would get addresses, and the kernel end the process when they are used.
extern "C" fn allocate(size: usize) -> *mut c_void {
    if size >= LARGE && size as u64 > available_memory() {
        return std::ptr::null_mut();
    }
    match Layout::from_size_align(size, ALIGNMENT) {
        // SAFETY: the size is not zero.
        Ok(layout) if size > 0 => unsafe { alloc(layout) }.cast(),
        _ => std::ptr::null_mut(),
    }
}

/// # Safety
/// `start` is from [`allocate`], with that size, and is not used any more.
unsafe extern "C" fn release(start: *mut c_void, size: usize) {
    if let Ok(layout) = Layout::from_size_align(size, ALIGNMENT) {
        // SAFETY: the caller promises that it was allocated with this layout.
        unsafe { dealloc(start.cast(), layout) };
    }
}
