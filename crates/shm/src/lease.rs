//! A part of a registered region that a request uses.

#![allow(unsafe_code, reason = "copies between a client's memory and our own")]

use std::any::Any;
use std::mem::MaybeUninit;
use std::sync::Arc;

use hippocamp_tensor::{MemoryError, Place, PlacedBuffer, PlacedBufferMut, PlacedSlice};

use crate::fault;
use crate::region::Region;
use crate::registry::Hold;

/// A part of a registered region. The region stays mapped until its last lease is dropped.
#[derive(Debug)]
pub struct Lease {
    region: Arc<Region>,
    /// Offset within the region. The registry has checked that the whole part lies within it.
    start: usize,
    length: usize,
    /// Dropped last: the region may be removed then.
    _hold: Hold,
}

impl Lease {
    pub(crate) fn new(region: Arc<Region>, start: usize, length: usize, hold: Hold) -> Lease {
        debug_assert!(start + length <= region.byte_size);
        Lease { region, start, length, _hold: hold }
    }

    /// An error if the region has lost its memory, which may happen before or during an access.
    pub fn check(&self) -> hippocamp_backend::Result<()> {
        self.region.check()
    }

    /// The address of byte `at` of this part, which has at least `count` bytes from there on.
    fn address(&self, at: usize, count: usize) -> *mut u8 {
        let end = at.checked_add(count);
        assert!(
            end.is_some_and(|end| end <= self.length),
            "{count} bytes from {at} on are no part of {}",
            self.length
        );
        self.region.address(self.start + at)
    }

    /// Copies from host memory of this process.
    fn copy_from_host(&mut self, start: usize, source: &[u8]) {
        let target = self.address(start, source.len());
        // SAFETY: registering a region has called `prepare`. The source is a slice of this process; the target lies
        // within the region, to which there are no references.
        unsafe { fault::copy(source.as_ptr(), target, source.len(), [Some(self.region.mapping()), None]) };
    }

    /// Copies from another lease, possibly of the same region.
    fn copy_from_lease(&mut self, start: usize, source: &Lease, first: usize, count: usize) {
        let touched = [Some(source.region.mapping()), Some(self.region.mapping())];
        let (from, to) = (source.address(first, count), self.address(start, count));
        // SAFETY: registering a region has called `prepare`, and both ends lie within their regions.
        unsafe { fault::copy(from, to, count, touched) };
    }
}

// SAFETY: the length is fixed, and copying writes every byte: lost memory reads as zeros.
unsafe impl PlacedBuffer for Lease {
    fn len(&self) -> usize {
        self.length
    }

    fn place(&self) -> Place {
        Place::Host
    }

    fn copy_to_host(&self, start: usize, target: &mut [MaybeUninit<u8>]) -> Result<(), MemoryError> {
        let from = self.address(start, target.len());
        let touched = [Some(self.region.mapping()), None];
        // SAFETY: registering a region has called `prepare`. The source lies within the region, and the target is a
        // slice that is borrowed mutably.
        unsafe { fault::copy(from, target.as_mut_ptr().cast(), target.len(), touched) };
        Ok(())
    }
}

impl PlacedBufferMut for Lease {
    fn copy_from(&mut self, start: usize, source: PlacedSlice<'_>) -> Result<(), MemoryError> {
        match source {
            PlacedSlice::Host(bytes) => self.copy_from_host(start, bytes),
            PlacedSlice::Placed { buffer, start: first, len } => {
                let any: &dyn Any = buffer;
                match any.downcast_ref::<Lease>() {
                    Some(lease) => self.copy_from_lease(start, lease, first, len),
                    // Device memory is copied through the host, because a driver cannot survive it when the mapping
                    // loses its memory.
                    None => self.copy_from_host(start, &source.to_vec()?),
                }
            }
        }
        Ok(())
    }

    fn fill_zeros(&mut self, start: usize, count: usize) -> Result<(), MemoryError> {
        const ZEROS: [u8; 4096] = [0; 4096];
        for at in (0..count).step_by(ZEROS.len()) {
            self.copy_from_host(start + at, &ZEROS[..ZEROS.len().min(count - at)]);
        }
        Ok(())
    }
}
