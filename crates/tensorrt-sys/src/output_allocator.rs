//! Memory for outputs whose shape only a run tells.

use std::ffi::{CStr, c_char, c_void};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{NonNull, null, null_mut};

use crate::object::{InterfaceInfo, place};
use crate::slots::output_allocator as slot;
use crate::{Dims, Layout};

/// What gives memory for an output and is told of its shape, during a run.
pub trait OutputMemory: Send {
    /// The address of device memory of at least `size` bytes, aligned to `alignment`; null if there is none. It has to stay
    /// valid until the run's work is done.
    fn allocate(&mut self, size: u64, alignment: u64) -> *mut c_void;

    /// Tells the shape.
    fn shape(&mut self, dims: &Dims);
}

/// An object that implements the interface of the library by an [`OutputMemory`].
pub struct OutputAllocator(NonNull<Object>);

#[repr(C)]
struct Object {
    table: *const *const c_void,
    entries: [*const c_void; 7],
    memory: Box<dyn OutputMemory>,
}

// SAFETY: the table is of functions, and the memory is `Send`; it is called within the runs of one context.
unsafe impl Send for OutputAllocator {}
// SAFETY: nothing of it is used by `&self`.
unsafe impl Sync for OutputAllocator {}

impl OutputAllocator {
    /// For a library of that layout.
    pub fn new(layout: Layout, memory: Box<dyn OutputMemory>) -> OutputAllocator {
        let mut entries = [null(); 7];
        entries[..4].copy_from_slice(&[
            language as *const c_void,
            info as *const c_void,
            destroy as *const c_void,
            destroy as *const c_void,
        ]);
        let allocate_async = place(&slot::REALLOCATE_OUTPUT_ASYNC, layout);
        if allocate_async > 4 {
            entries[4] = reallocate as *const c_void;
        }
        entries[allocate_async] = reallocate_async as *const c_void;
        entries[place(&slot::NOTIFY_SHAPE, layout)] = notify as *const c_void;
        let object = Box::leak(Box::new(Object { table: null(), entries, memory }));
        object.table = object.entries.as_ptr();
        OutputAllocator(NonNull::from(object))
    }

    pub(crate) fn as_ptr(&self) -> *mut c_void {
        self.0.as_ptr().cast()
    }
}

impl Drop for OutputAllocator {
    fn drop(&mut self) {
        // SAFETY: it was made of a box, and the context that calls it was dropped before.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

impl fmt::Debug for OutputAllocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OutputAllocator")
    }
}

/// # Safety
/// `this` is an [`Object`] that nobody else uses.
unsafe fn allocated(this: *mut c_void, size: u64, alignment: u64) -> *mut c_void {
    // SAFETY: the caller's word.
    let object = unsafe { &mut *this.cast::<Object>() };
    catch_unwind(AssertUnwindSafe(|| object.memory.allocate(size, alignment))).unwrap_or(null_mut())
}

unsafe extern "C" fn reallocate(
    this: *mut c_void,
    _name: *const c_char,
    _current: *mut c_void,
    size: u64,
    alignment: u64,
) -> *mut c_void {
    // SAFETY: the library calls it with the object that it was given, within a run of its one context.
    unsafe { allocated(this, size, alignment) }
}

unsafe extern "C" fn reallocate_async(
    this: *mut c_void,
    _name: *const c_char,
    _current: *mut c_void,
    size: u64,
    alignment: u64,
    _stream: *mut c_void,
) -> *mut c_void {
    // SAFETY: as above.
    unsafe { allocated(this, size, alignment) }
}

unsafe extern "C" fn notify(this: *mut c_void, _name: *const c_char, dims: *const Dims) {
    // SAFETY: as above; the shape is passed by reference.
    let (object, dims) = unsafe { (&mut *this.cast::<Object>(), dims.as_ref()) };
    if let Some(dims) = dims {
        let _ = catch_unwind(AssertUnwindSafe(|| object.memory.shape(dims)));
    }
}

/// A destructor that the library does not call: the object is ours.
unsafe extern "C" fn destroy(_this: *mut c_void) {}

unsafe extern "C" fn language(_this: *mut c_void) -> i32 {
    0
}

unsafe extern "C" fn info(_this: *mut c_void) -> InterfaceInfo {
    const NAME: &CStr = c"IOutputAllocator";
    InterfaceInfo { kind: NAME.as_ptr(), major: 1, minor: 0 }
}
