//! Copies of a batch's outputs: from the memory of a device to the host, and out of buffers that the next batch overwrites.

use bytes::Bytes;
use hippocamp_tensor::{
    Allocator, MemoryError, Place, PlacedBuffer, PlacedBufferMut, PlacedSlice, TensorData,
};
use std::sync::Arc;

/// A copy that may still be on its way.
#[derive(Debug)]
pub(crate) enum Copy {
    Pending(Box<dyn PlacedBufferMut>),
    Done(TensorData),
}

impl Copy {
    /// Copies to host memory: through pinned memory if there is some, which is as fast as the bus, and the client's
    /// response is sent from there.
    pub(crate) fn to_host(
        source: PlacedSlice<'_>,
        pinned: Option<&dyn Allocator>,
    ) -> Result<Copy, MemoryError> {
        // Where the pool of pinned memory is exhausted, ordinary memory is slower and as good.
        if let Some(Ok(mut memory)) = pinned.map(|pinned| pinned.allocate(source.len())) {
            memory.copy_from(0, source)?;
            return Ok(Copy::Pending(memory));
        }
        Ok(Copy::Done(Bytes::from(source.to_vec()?).into()))
    }

    /// Copies to memory of the allocator.
    pub(crate) fn to(source: PlacedSlice<'_>, allocator: &dyn Allocator) -> Result<Copy, MemoryError> {
        let mut memory = allocator.allocate(source.len())?;
        memory.copy_from(0, source)?;
        Ok(Copy::Pending(memory))
    }

    /// Waits until the copy is complete.
    pub(crate) fn finish(self) -> Result<TensorData, MemoryError> {
        match self {
            Copy::Done(data) => Ok(data),
            Copy::Pending(mut memory) => {
                memory.finish()?;
                Ok(TensorData::from(Arc::<dyn PlacedBufferMut>::from(memory) as Arc<dyn PlacedBuffer>))
            }
        }
    }
}

/// A part of an output in host memory, from which the requests that want it there take theirs.
#[derive(Debug)]
pub(crate) struct HostPart {
    /// Where the data begin in the output.
    start: usize,
    data: TensorData,
}

impl HostPart {
    pub(crate) fn new(start: usize, data: TensorData) -> HostPart {
        HostPart { start, data }
    }

    /// The `len` bytes from `start` of the output on. Parts are taken in their order.
    pub(crate) fn take(&mut self, start: usize, len: usize) -> TensorData {
        let skipped = start.saturating_sub(self.start).min(self.data.len());
        drop(self.data.split_to(skipped));
        let taken = self.data.split_to(len.min(self.data.len()));
        self.start = start + len;
        taken
    }
}

/// Whether memory there is read through transfers only.
pub(crate) fn is_on_device(place: Place) -> bool {
    matches!(place, Place::Device(_))
}
