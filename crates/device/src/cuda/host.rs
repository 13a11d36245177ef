//! Ordinary host memory, for when pinned memory is exhausted.

use std::mem::MaybeUninit;

use hippocamp_tensor::{MemoryError, Place, PlacedBuffer, PlacedBufferMut, PlacedSlice};

/// A buffer of ordinary host memory.
#[derive(Debug)]
pub(super) struct HostMemory(Vec<u8>);

impl HostMemory {
    pub(super) fn new(size: usize) -> Result<HostMemory, MemoryError> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size).map_err(|_| MemoryError::no_host_memory(size))?;
        bytes.resize(size, 0);
        Ok(HostMemory(bytes))
    }
}

// SAFETY: the length is fixed, and all of the target is written.
unsafe impl PlacedBuffer for HostMemory {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn place(&self) -> Place {
        Place::Host
    }

    fn as_host(&self) -> Option<&[u8]> {
        Some(&self.0)
    }

    fn copy_to_host(&self, start: usize, target: &mut [MaybeUninit<u8>]) -> Result<(), MemoryError> {
        target.write_copy_of_slice(&self.0[start..start + target.len()]);
        Ok(())
    }
}

impl PlacedBufferMut for HostMemory {
    fn copy_from(&mut self, start: usize, source: PlacedSlice<'_>) -> Result<(), MemoryError> {
        source.copy_to_host(as_uninit(&mut self.0[start..start + source.len()]))
    }

    fn as_host_mut(&mut self) -> Option<&mut [u8]> {
        Some(&mut self.0)
    }

    fn copy_within(&mut self, from: usize, len: usize, to: usize) -> Result<(), MemoryError> {
        self.0.copy_within(from..from + len, to);
        Ok(())
    }

    fn fill_zeros(&mut self, start: usize, count: usize) -> Result<(), MemoryError> {
        self.0[start..start + count].fill(0);
        Ok(())
    }
}

/// The same bytes, as the target of a copy that fills them.
pub(super) fn as_uninit(bytes: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: both have one layout, and a copy only writes bytes that are initialised.
    unsafe { &mut *(std::ptr::from_mut(bytes) as *mut [MaybeUninit<u8>]) }
}
