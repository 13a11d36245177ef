//! A buffer at some place that each batch is gathered into.

use crate::{AlignedBuffer, Allocator, MemoryError, Place, PlacedBufferMut, PlacedSlice, TensorData};

/// Memory that is refilled from the start again and again, in host memory or on a device. An instance keeps one an input:
/// once the largest batch was seen it allocates no more.
#[derive(Debug)]
pub struct RefillBuffer(Room);

#[derive(Debug)]
enum Room {
    Host(AlignedBuffer),
    Placed {
        memory: Box<dyn PlacedBufferMut>,
        /// Bytes from the start that hold values.
        len: usize,
    },
}

use Room::{Host, Placed};

impl RefillBuffer {
    /// Empties the buffer and makes room for `size` bytes: in aligned host memory, or at the place of `allocator`. Allocates
    /// only if it never had as much there.
    ///
    /// # Errors
    /// If there is no memory for it. The buffer is empty then, and of use for what is smaller.
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
                // The old memory goes first: a large buffer shall not be there twice.
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

    /// Appends bytes from wherever they are: one copy or transfer.
    ///
    /// # Errors
    /// If a transfer failed.
    ///
    /// # Panics
    /// If they do not fit into the room that [`RefillBuffer::restart`] made.
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

    /// Appends a tensor from wherever it is: one copy a segment, or one transfer.
    ///
    /// # Errors
    /// If a transfer failed.
    ///
    /// # Panics
    /// If it does not fit into the room that [`RefillBuffer::restart`] made.
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

    /// Appends `count` zero bytes.
    ///
    /// # Errors
    /// If a device refused.
    ///
    /// # Panics
    /// If they do not fit into the room that [`RefillBuffer::restart`] made.
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
    /// If a transfer failed.
    ///
    /// # Panics
    /// If they do not fit into the room that [`RefillBuffer::restart`] made.
    pub fn push_repeated(&mut self, element: &[u8], count: usize) -> Result<(), MemoryError> {
        if element.iter().all(|byte| *byte == 0) {
            return self.push_zeros(element.len() * count);
        }
        match &mut self.0 {
            Host(buffer) => (0..count).for_each(|_| buffer.push(element)),
            // One transfer instead of one an element.
            Placed { .. } => self.push(PlacedSlice::Host(&element.repeat(count)))?,
        }
        Ok(())
    }

    /// What was appended since the last restart, all of it there.
    ///
    /// # Errors
    /// If a transfer that was under way failed.
    pub fn finish(&mut self) -> Result<PlacedSlice<'_>, MemoryError> {
        match &mut self.0 {
            Host(buffer) => Ok(PlacedSlice::Host(buffer.as_slice())),
            Placed { memory, len } => {
                memory.finish()?;
                Ok(PlacedSlice::Placed { buffer: &**memory, start: 0, len: *len })
            }
        }
    }

    /// Where it is.
    pub fn place(&self) -> Place {
        match &self.0 {
            Host(_) => Place::Host,
            Placed { memory, .. } => memory.place(),
        }
    }
}

impl Default for RefillBuffer {
    /// An empty buffer that owns no memory.
    fn default() -> Self {
        RefillBuffer(Host(AlignedBuffer::default()))
    }
}
