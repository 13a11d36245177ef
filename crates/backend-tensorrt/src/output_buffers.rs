//! The memory that outputs are written to when they are copied on from there.

use hippocamp_device::Devices;
use hippocamp_tensor::{Allocator, MemoryError, PlacedBufferMut, PlacedSlice};

/// A buffer for each output, which is replaced when it is too small, and then at another address.
#[derive(Debug, Default)]
pub(crate) struct OutputBuffers(Vec<Option<Box<dyn PlacedBufferMut>>>);

/// All of a buffer.
pub(crate) fn whole(buffer: &dyn PlacedBufferMut, len: usize) -> PlacedSlice<'_> {
    PlacedSlice::Placed { buffer, start: 0, len }
}

impl OutputBuffers {
    pub(crate) fn new(count: usize) -> OutputBuffers {
        OutputBuffers((0..count).map(|_| None).collect())
    }

    /// Makes room for `size` bytes of an output.
    pub(crate) fn reserve(
        &mut self,
        output: usize,
        size: usize,
        memory: &dyn Allocator,
    ) -> Result<(), MemoryError> {
        let buffer = &mut self.0[output];
        if buffer.as_ref().is_none_or(|buffer| buffer.len() < size) {
            // The old one goes first: both may not fit.
            *buffer = None;
            *buffer = Some(memory.allocate(size.max(1))?);
        }
        Ok(())
    }

    /// The first `len` bytes of an output, for which there is room.
    pub(crate) fn get(&self, output: usize, len: usize) -> Option<PlacedSlice<'_>> {
        self.0.get(output)?.as_deref().filter(|buffer| len <= buffer.len()).map(|buffer| whole(buffer, len))
    }

    /// Where an output is written; `None` if there is no room yet.
    pub(crate) fn address(&self, output: usize, devices: &Devices) -> Option<u64> {
        devices.address(self.get(output, 0)?)
    }
}
