//! A piece of an object in this process's address space.

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

/// Whole pages of an object that other processes see, too. Unmapped when dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    length: usize,
    /// The object had no memory for a page that was touched. What is mapped since are this process's own zeros.
    lost: AtomicBool,
}

// SAFETY: it is an address and a length; whatever is done with the memory behind it is done by copies that do not mind
// others.
unsafe impl Send for Mapping {}
// SAFETY: the same.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `length` bytes from `offset` on, which begins a page. Nothing is read yet: a page costs memory once it is
    /// touched.
    pub(crate) fn new(object: &File, offset: off_t, length: usize) -> io::Result<Mapping> {
        let descriptor = object.as_raw_fd();
        // SAFETY: the kernel chooses the place, so that nothing else is there.
        let start = unsafe { libc::mmap(null_mut(), length, READ_AND_WRITE, MAP_SHARED, descriptor, offset) };
        if start == MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Mapping { start, length, lost: AtomicBool::new(false) })
    }

    /// The address of a byte. `at` is within the mapping.
    pub(crate) fn address(&self, at: usize) -> *mut u8 {
        debug_assert!(at <= self.length);
        self.start.as_ptr().wrapping_add(at)
    }

    pub(crate) fn contains(&self, address: usize) -> bool {
        address.checked_sub(self.start.as_ptr() as usize).is_some_and(|at| at < self.length)
    }

    /// Whether its memory went away while it was used.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Puts zeros in the place of the object, for good, so that whoever is reading or writing can go on. False if even
    /// that cannot be done. Called by a signal handler.
    pub(crate) fn give_up(&self) -> bool {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
        let start: *mut c_void = self.start.as_ptr().cast();
        // SAFETY: these pages are this mapping's, which lives as long as this reference. Others that use them are copying, and
        // find zeros instead of the object from here on.
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
        // SAFETY: mapped by `new` with this very length, and nobody else has it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}
