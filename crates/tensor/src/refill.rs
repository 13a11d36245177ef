//! A reusable buffer at any place, into which each batch is gathered.

use smallvec::SmallVec;

use crate::{AlignedBuffer, Allocator, MemoryError, Place, PlacedBufferMut, PlacedSlice, TensorData};

/// A buffer in host or device memory that is refilled for each batch. An instance keeps one per input. It allocates only for
/// a batch larger than all before.
#[derive(Debug)]
pub struct RefillBuffer(Room);

#[derive(Debug)]
enum Room {
    Host(AlignedBuffer),
    Placed {
        memory: Box<dyn PlacedBufferMut>,
        /// The number of bytes that were appended.
        len: usize,
    },
}

use Room::{Host, Placed};

impl RefillBuffer {
    /// Empties the buffer and ensures a capacity of `size` bytes, at the place of `allocator`, or in aligned host memory if
    /// that is `None`. Allocates only if the capacity at that place was smaller.
    ///
    /// # Errors
    /// If the allocation fails. The buffer is empty then, and can be restarted with a smaller size.
    pub fn restart(&mut self, size: usize, allocator: Option<&dyn Allocator>) -> Result<(), MemoryError> {
        match (&mut self.0, allocator) {
            (Host(buffer), None) => buffer.restart(size),
            (Placed { memory, len }, Some(allocator))
                if memory.len() >= size && memory.place() == allocator.place() =>
            {
                *len = 0;
                Ok(())
            }
            (room, allocator) => {
                // The old memory is freed first, so that two large buffers never exist at the same time.
                *room = Host(AlignedBuffer::default());
                match (room, allocator) {
                    (Host(buffer), None) => buffer.restart(size),
                    (room, Some(allocator)) => {
                        *room = Placed { memory: allocator.allocate(size)?, len: 0 };
                        Ok(())
                    }
                    (Placed { .. }, None) => Ok(()),
                }
            }
        }
    }

    /// Appends bytes from any place by one copy or transfer.
    ///
    /// # Errors
    /// If a transfer fails.
    ///
    /// # Panics
    /// If they do not fit into the capacity that [`RefillBuffer::restart`] reserved.
    pub fn push(&mut self, bytes: PlacedSlice<'_>) -> Result<(), MemoryError> {
        match &mut self.0 {
            Host(buffer) => buffer.push_placed(bytes),
            Placed { memory, len } => {
                memory.copy_from(*len, bytes)?;
                *len += bytes.len();
                Ok(())
            }
        }
    }

    /// Appends a tensor from any place by one copy per segment, or one transfer.
    ///
    /// # Errors
    /// If a transfer fails.
    ///
    /// # Panics
    /// If it does not fit into the capacity that [`RefillBuffer::restart`] reserved.
    pub fn push_tensor(&mut self, data: &TensorData) -> Result<(), MemoryError> {
        match &mut self.0 {
            Host(buffer) => data.copy_to(buffer),
            Placed { memory, len } => {
                data.copy_into(&mut **memory, *len)?;
                *len += data.len();
                Ok(())
            }
        }
    }

    /// Appends tensors from any place, as one operation where a driver can do that.
    ///
    /// # Errors
    /// If a transfer fails.
    ///
    /// # Panics
    /// If they do not fit into the capacity that [`RefillBuffer::restart`] reserved.
    pub fn push_tensors<'a>(
        &mut self,
        tensors: impl IntoIterator<Item = &'a TensorData>,
    ) -> Result<(), MemoryError> {
        let mut tensors = tensors.into_iter();
        let Placed { memory, len } = &mut self.0 else {
            return tensors.try_for_each(|tensor| self.push_tensor(tensor));
        };
        let mut parts: SmallVec<[(usize, PlacedSlice<'_>); 8]> = SmallVec::new();
        let mut end = *len;
        for tensor in tensors {
            if let Some(slice) = tensor.as_one_slice() {
                parts.push((end, slice));
                end += slice.len();
            } else {
                tensor.copy_into(&mut **memory, end)?;
                end += tensor.len();
            }
        }
        memory.copy_many(&parts)?;
        *len = end;
        Ok(())
    }

    /// Appends `count` zero bytes.
    ///
    /// # Errors
    /// If the device reports an error.
    ///
    /// # Panics
    /// If they do not fit into the capacity that [`RefillBuffer::restart`] reserved.
    pub fn push_zeros(&mut self, count: usize) -> Result<(), MemoryError> {
        match &mut self.0 {
            Host(buffer) => {
                buffer.push_zeros(count);
                Ok(())
            }
            Placed { memory, len } => {
                memory.fill_zeros(*len, count)?;
                *len += count;
                Ok(())
            }
        }
    }

    /// Appends an element `count` times.
    ///
    /// # Errors
    /// If a transfer fails.
    ///
    /// # Panics
    /// If they do not fit into the capacity that [`RefillBuffer::restart`] reserved.
    pub fn push_repeated(&mut self, element: &[u8], count: usize) -> Result<(), MemoryError> {
        if element.iter().all(|byte| *byte == 0) {
            return self.push_zeros(element.len() * count);
        }
        match &mut self.0 {
            Host(buffer) => (0..count).for_each(|_| buffer.push(element)),
            // The elements are repeated in host memory first, so that there is one transfer instead of one per element.
            Placed { .. } => self.push(PlacedSlice::Host(&element.repeat(count)))?,
        }
        Ok(())
    }

    /// Appends the last `size` bytes `times` times more, by copies within the buffer.
    ///
    /// # Errors
    /// If the device reports an error.
    ///
    /// # Panics
    /// If there are fewer bytes, or they do not fit into the capacity that [`RefillBuffer::restart`] reserved.
    pub fn repeat_last(&mut self, size: usize, times: usize) -> Result<(), MemoryError> {
        match &mut self.0 {
            Host(buffer) => buffer.repeat_last(size, times),
            Placed { memory, len } => {
                assert!(size <= *len, "{size} bytes are to be repeated of {len}");
                let mut left = size * times;
                // Each copy doubles what can be copied by the next one.
                let first = *len - size;
                while left > 0 {
                    let count = left.min(*len - first);
                    memory.copy_within(first, count, *len)?;
                    *len += count;
                    left -= count;
                }
            }
        }
        Ok(())
    }

    /// Waits until all writes are complete, and returns the bytes that were appended since the last restart.
    ///
    /// # Errors
    /// If a pending transfer failed.
    pub fn finish(&mut self) -> Result<PlacedSlice<'_>, MemoryError> {
        match &mut self.0 {
            Host(_) => {}
            Placed { memory, .. } => memory.finish()?,
        }
        Ok(self.queued())
    }

    /// The bytes that were appended since the last restart, for a reader that comes behind the writes in the order of the
    /// memory's stream: they need not be complete.
    pub fn queued(&self) -> PlacedSlice<'_> {
        match &self.0 {
            Host(buffer) => PlacedSlice::Host(buffer.as_slice()),
            Placed { memory, len } => PlacedSlice::Placed { buffer: &**memory, start: 0, len: *len },
        }
    }

    /// The place of the buffer.
    pub fn place(&self) -> Place {
        match &self.0 {
            Host(_) => Place::Host,
            Placed { memory, .. } => memory.place(),
        }
    }
}

impl From<Box<dyn PlacedBufferMut>> for RefillBuffer {
    /// An empty buffer that refills this memory, for as long as it is large enough.
    fn from(memory: Box<dyn PlacedBufferMut>) -> Self {
        RefillBuffer(Placed { memory, len: 0 })
    }
}

impl Default for RefillBuffer {
    /// An empty buffer that owns no memory.
    fn default() -> Self {
        RefillBuffer(Host(AlignedBuffer::default()))
    }
}
