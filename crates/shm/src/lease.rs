//! A part of a region in the hands of a request.

#![allow(unsafe_code, reason = "copies between a client's memory and our own")]

use std::any::Any;
use std::mem::MaybeUninit;
use std::sync::Arc;

use hippocamp_tensor::{MemoryError, Place, PlacedBuffer, PlacedBufferMut, PlacedSlice};

use crate::fault;
use crate::region::Region;
use crate::registry::Regions;

/// A part of a registered region. The region stays registered until the last of its leases is dropped.
#[derive(Debug)]
pub struct Lease {
    region: Arc<Region>,
    /// Within the region, as is the end: whoever made this has checked it.
    start: usize,
    length: usize,
    regions: Arc<Regions>,
}

impl Lease {
    pub(crate) fn new(region: Arc<Region>, start: usize, length: usize, regions: Arc<Regions>) -> Lease {
        debug_assert!(start + length <= region.byte_size);
        Lease { region, start, length, regions }
    }

    /// An error if the region has lost its memory, before or while it was read or written.
    pub fn check(&self) -> hippocamp_backend::Result<()> {
        self.region.check()
    }

    /// The address of a byte of this part, of which at least `count` follow.
    fn address(&self, at: usize, count: usize) -> *mut u8 {
        let end = at.checked_add(count);
        assert!(
            end.is_some_and(|end| end <= self.length),
            "{count} bytes from {at} on are no part of {}",
            self.length
        );
        self.region.address(self.start + at)
    }

    /// From host memory of this process.
    fn copy_from_host(&mut self, start: usize, source: &[u8]) {
        let target = self.address(start, source.len());
        // SAFETY: a registered region has prepared for faults. The source is a slice of our own; the target lies within the
        // region, and what is in there is nobody's reference.
        unsafe { fault::copy(source.as_ptr(), target, source.len(), [Some(self.region.mapping()), None]) };
    }

    /// From one client's memory to another's, or to another part of the same.
    fn copy_from_lease(&mut self, start: usize, source: &Lease, first: usize, count: usize) {
        let touched = [Some(source.region.mapping()), Some(self.region.mapping())];
        let (from, to) = (source.address(first, count), self.address(start, count));
        // SAFETY: registered regions have prepared for faults, and both ends lie within theirs.
        unsafe { fault::copy(from, to, count, touched) };
    }
}

// SAFETY: the length is fixed, and copying writes every byte: what is gone reads as zeros.
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
        // SAFETY: a registered region has prepared for faults. The source lies within the region, the target is a slice that is
        // borrowed mutably.
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
                    // A device cannot be let into memory that may go away.
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

impl Drop for Lease {
    fn drop(&mut self) {
        self.regions.release(&self.region.name);
    }
}
