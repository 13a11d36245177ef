//! A part of a region in the hands of a request.

#![allow(unsafe_code, reason = "copies between a client's memory and our own")]

use std::any::Any;
use std::mem::MaybeUninit;
use std::sync::Arc;

use hippocamp_backend::Result;
use hippocamp_tensor::{ForeignBytes, TensorData};

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
    pub fn check(&self) -> Result<()> {
        self.region.check()
    }

    /// Copies `data` to the beginning of this part, in one pass, wherever it comes from. There is room for it: the caller
    /// has compared the sizes.
    pub(crate) fn write(&self, data: &TensorData) -> Result<()> {
        assert!(data.len() <= self.length, "{} bytes are to be written, {} fit", data.len(), self.length);
        match data.as_foreign() {
            None => {
                let mut at = self.start;
                for segment in data.segments() {
                    let target = self.region.address(at);
                    let touched = [Some(self.region.mapping()), None];
                    // SAFETY: a registered region has prepared for faults. The source is a slice of our own; the target lies
                    // within the region, and what is in there is nobody's reference.
                    unsafe { fault::copy(segment.as_ptr(), target, segment.len(), touched) };
                    at += segment.len();
                }
            }
            Some(foreign) => {
                let any: &dyn Any = foreign;
                match any.downcast_ref::<Lease>() {
                    Some(source) => self.copy_from(source),
                    None => return self.write(&data.to_contiguous().into()),
                }
            }
        }
        self.check()
    }

    /// From one client's memory to another's, or to another part of the same.
    fn copy_from(&self, source: &Lease) {
        let touched = [Some(source.region.mapping()), Some(self.region.mapping())];
        let (from, to) = (source.region.address(source.start), self.region.address(self.start));
        // SAFETY: registered regions have prepared for faults, and both ends lie within theirs: `write` has compared the sizes.
        unsafe { fault::copy(from, to, source.length, touched) };
    }
}

// SAFETY: the length is fixed, and copying writes every byte: what is gone reads as zeros.
unsafe impl ForeignBytes for Lease {
    fn len(&self) -> usize {
        self.length
    }

    fn copy_to(&self, target: &mut [MaybeUninit<u8>]) {
        assert_eq!(target.len(), self.length, "the room for a tensor has its size");
        let from = self.region.address(self.start);
        let touched = [Some(self.region.mapping()), None];
        // SAFETY: a registered region has prepared for faults. The source lies within the region, the target is a slice that is
        // borrowed mutably.
        unsafe { fault::copy(from, target.as_mut_ptr().cast(), self.length, touched) };
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.regions.release(&self.region.name);
    }
}
