//! The memory of outputs, which backends write to by address.

#![allow(unsafe_code, reason = "owns memory that foreign code writes")]

use std::alloc::{Layout, alloc, dealloc};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::slice;

use bytes::Bytes;
use hippocamp_backend::{Error, Result};
use hippocamp_tensor::ALIGNMENT;

/// Memory for one tensor. The backend writes it until the response is sent; then it is read.
#[derive(Debug)]
pub(crate) struct OutputMemory {
    start: NonNull<u8>,
    layout: Layout,
    size: usize,
}

// SAFETY: the memory is plain bytes and owned by this value alone; the backend keeps the rule that it writes only before
// it sends the response.
unsafe impl Send for OutputMemory {}
// SAFETY: shared references only read.
unsafe impl Sync for OutputMemory {}

impl OutputMemory {
    /// Memory of that size, which is not zeroed: the backend is to write all of it.
    pub(crate) fn new(size: u64) -> Result<OutputMemory> {
        let layout =
            usize::try_from(size).ok().and_then(|size| Layout::from_size_align(size, ALIGNMENT).ok());
        let none = || Error::unavailable(format!("there is no memory for an output of {size} bytes"));
        let layout = layout.ok_or_else(none)?;
        if layout.size() == 0 {
            let start = NonNull::without_provenance(layout.align().try_into().map_err(|_| none())?);
            return Ok(OutputMemory { start, layout, size: 0 });
        }
        // SAFETY: the size is not 0.
        let start = NonNull::new(unsafe { alloc(layout) }).ok_or_else(none)?;
        Ok(OutputMemory { start, layout, size: layout.size() })
    }

    /// The address for the backend; NULL if it is empty.
    pub(crate) fn address(&self) -> *mut c_void {
        if self.size == 0 { std::ptr::null_mut() } else { self.start.as_ptr().cast() }
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The bytes, once the backend does not write any more.
    pub(crate) fn freeze(self) -> Bytes {
        if self.size == 0 { Bytes::new() } else { Bytes::from_owner(self) }
    }
}

impl AsRef<[u8]> for OutputMemory {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the memory is this value's own. The backend has written it by then; what it left out has the bytes that were
        // there before.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.size) }
    }
}

impl Drop for OutputMemory {
    fn drop(&mut self) {
        if self.size > 0 {
            // SAFETY: it was allocated with this layout.
            unsafe { dealloc(self.start.as_ptr(), self.layout) };
        }
    }
}
