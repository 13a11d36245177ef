//! Memory of a simulated device that another process would have exported.

use std::any::Any;
use std::mem::MaybeUninit;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hippocamp_tensor::{MemoryError, Place, PlacedBuffer, PlacedBufferMut, PlacedSlice};

use super::{Ordering, TestDevice, TestMemory};
use crate::ExportedMemory;

/// Memory of a simulated device that a client has exported. Both sides see the same bytes.
#[derive(Clone, Debug)]
pub struct TestExport {
    pub(super) device: Arc<TestDevice>,
    pub(super) bytes: Arc<Mutex<Vec<u8>>>,
}

impl TestExport {
    /// The bytes as the client sees them.
    pub fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ExportedMemory for TestExport {
    fn len(&self) -> usize {
        self.bytes().len()
    }

    fn part(
        self: Arc<Self>,
        start: usize,
        len: usize,
        owner: Box<dyn Any + Send + Sync>,
    ) -> Box<dyn PlacedBufferMut> {
        assert!(start + len <= self.len(), "{len} bytes from {start} on are no part of {}", self.len());
        Box::new(TestPart { memory: (*self).clone(), start, len, _owner: owner })
    }
}

/// A part of exported memory.
#[derive(Debug)]
pub(super) struct TestPart {
    pub(super) memory: TestExport,
    start: usize,
    len: usize,
    _owner: Box<dyn Any + Send + Sync>,
}

impl TestPart {
    /// The first of the bytes of a slice, if it is of such memory.
    pub(super) fn address(slice: PlacedSlice<'_>) -> Option<u64> {
        let PlacedSlice::Placed { buffer, start, .. } = slice else { return None };
        let any: &dyn Any = buffer;
        let part = any.downcast_ref::<TestPart>()?;
        Some(part.memory.bytes().as_ptr() as u64 + (part.start + start) as u64)
    }

    /// The bytes of a range, without a transfer.
    pub(super) fn read(&self, start: usize, len: usize) -> Vec<u8> {
        assert!(start + len <= self.len);
        self.memory.bytes()[self.start + start..][..len].to_vec()
    }
}

// SAFETY: the length is fixed, and all of the target is written.
unsafe impl PlacedBuffer for TestPart {
    fn len(&self) -> usize {
        self.len
    }

    fn place(&self) -> Place {
        self.memory.device.place
    }

    fn misalignment(&self) -> usize {
        self.start % 256
    }

    fn copy_to_host(&self, start: usize, target: &mut [MaybeUninit<u8>]) -> Result<(), MemoryError> {
        self.memory.device.to_host.fetch_add(1, Ordering::SeqCst);
        target.write_copy_of_slice(&self.read(start, target.len()));
        Ok(())
    }

    fn allocate_beside(&self, size: usize) -> Result<Option<Box<dyn PlacedBufferMut>>, MemoryError> {
        Ok(Some(Box::new(self.memory.device.allocate(size)?)))
    }
}

impl PlacedBufferMut for TestPart {
    fn copy_from(&mut self, start: usize, source: PlacedSlice<'_>) -> Result<(), MemoryError> {
        // What counts copies is memory of the device.
        let mut staged: TestMemory = self.memory.device.allocate(source.len())?;
        staged.copy_from(0, source)?;
        assert!(start + source.len() <= self.len);
        self.memory.bytes()[self.start + start..][..source.len()]
            .copy_from_slice(staged.bytes(0, source.len()));
        Ok(())
    }

    fn fill_zeros(&mut self, start: usize, count: usize) -> Result<(), MemoryError> {
        assert!(start + count <= self.len);
        self.memory.bytes()[self.start + start..][..count].fill(0);
        Ok(())
    }
}
