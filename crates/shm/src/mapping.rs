//! A part of a shared object, mapped into the address space of this process.

#![allow(unsafe_code, reason = "maps memory")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicBool, Ordering};

use libc::{
    MAP_ANONYMOUS, MAP_FAILED, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, MAP_SHARED, c_int, c_void, off_t,
};

const READ_AND_WRITE: c_int = libc::PROT_READ | libc::PROT_WRITE;

/// Whole pages of a shared object. Unmapped when dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    length: usize,
    /// Whether a page without memory was touched. The mapping then consists of zeros private to this process.
    lost: AtomicBool,
}

// SAFETY: it is an address and a length. The memory behind it is only accessed by copies that tolerate concurrent
// writes.
unsafe impl Send for Mapping {}
// SAFETY: see `Send`.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `length` bytes from `offset` on, which has to be a multiple of the page size. A page takes memory once it
    /// is touched.
    pub(crate) fn new(object: &File, offset: off_t, length: usize) -> io::Result<Mapping> {
        let descriptor = object.as_raw_fd();
        // SAFETY: the kernel chooses an address where nothing is mapped.
        let start = unsafe { libc::mmap(null_mut(), length, READ_AND_WRITE, MAP_SHARED, descriptor, offset) };
        if start == MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Mapping { start, length, lost: AtomicBool::new(false) })
    }

    /// The address of byte `at`, which has to be within the mapping.
    pub(crate) fn address(&self, at: usize) -> *mut u8 {
        debug_assert!(at <= self.length);
        self.start.as_ptr().wrapping_add(at)
    }

    pub(crate) fn contains(&self, address: usize) -> bool {
        address.checked_sub(self.start.as_ptr() as usize).is_some_and(|at| at < self.length)
    }

    /// Whether the object lost its memory while it was accessed.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Replaces the object by zeros for good, so that the interrupted copy can continue. False if that fails. Called by
    /// the signal handler.
    pub(crate) fn give_up(&self) -> bool {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
        let start: *mut c_void = self.start.as_ptr().cast();
        // SAFETY: these pages belong to this mapping, which this reference keeps alive. Other copies that use them read
        // zeros from here on.
        let placed = unsafe { libc::mmap(start, self.length, READ_AND_WRITE, flags, -1, 0) };
        if placed == MAP_FAILED {
            return false;
        }
        self.lost.store(true, Ordering::Release);
        true
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length, and there are no other references.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}
