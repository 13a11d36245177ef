//! Memory that no slice is made of: a device's, or a client's.

#![allow(
    unsafe_code,
    reason = "whoever implements the trait promises to fill memory that was not written before"
)]

use std::any::Any;
use std::fmt::Debug;
use std::mem::MaybeUninit;

use crate::{MemoryError, Place};

/// A block of memory at some [`Place`] that can be copied out of: a device's memory, or a region that a client shares.
/// Host memory of this process is no such buffer; it is held as `Bytes`, at no cost.
///
/// A driver finds its own buffers among others by `downcast`: a buffer is [`Any`].
///
/// Memory of a client that is gone is no error here, because a batch must not fail for one of its requests: what is
/// missing is filled with zeros, and whoever lent the memory finds out before the answer leaves.
///
/// # Safety
/// [`PlacedBuffer::len`] never changes, and [`PlacedBuffer::copy_to_host`] writes every byte of its target if it succeeds.
pub unsafe trait PlacedBuffer: Any + Send + Sync + Debug {
    /// How many bytes there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the memory is.
    fn place(&self) -> Place;

    /// The bytes, if they are host memory that stays as it is while the buffer lives: pinned memory, but never what a client
    /// or a device could write to.
    fn as_host(&self) -> Option<&[u8]> {
        None
    }

    /// Fills `target` with the bytes from `start` on. They are there when it returns, with everything that was written to the
    /// buffer before.
    ///
    /// # Errors
    /// If the transfer failed; `target` may be written in part.
    ///
    /// # Panics
    /// If the buffer does not have as many bytes.
    fn copy_to_host(&self, start: usize, target: &mut [MaybeUninit<u8>]) -> Result<(), MemoryError>;

    /// A new buffer of `size` bytes at the same place and of the same driver; `None` if the place is host memory.
    ///
    /// # Errors
    /// If there is no memory for it.
    fn allocate_beside(&self, size: usize) -> Result<Option<Box<dyn PlacedBufferMut>>, MemoryError> {
        let _ = size;
        Ok(None)
    }
}

/// A buffer that its only owner fills. What is full is shared: `Arc<dyn PlacedBufferMut>` is an `Arc<dyn PlacedBuffer>`.
///
/// A driver may work on a stream of its own: what was written need not be there when a method returns, but the source may
/// be changed, and every later use of the buffer through these traits comes after it.
pub trait PlacedBufferMut: PlacedBuffer {
    /// Copies `source` to the bytes from `start` on, from wherever it is: one copy, but for what comes from a place that the
    /// driver does not reach, which goes through host memory.
    ///
    /// # Errors
    /// If the transfer failed; the target may be written in part.
    ///
    /// # Panics
    /// If the buffer does not have as many bytes.
    fn copy_from(&mut self, start: usize, source: PlacedSlice<'_>) -> Result<(), MemoryError>;

    /// Writes `count` zeros from `start` on.
    ///
    /// # Errors
    /// If the device refused.
    ///
    /// # Panics
    /// If the buffer does not have as many bytes.
    fn fill_zeros(&mut self, start: usize, count: usize) -> Result<(), MemoryError>;

    /// Waits until everything that was written is there, for whoever reads the memory past these traits.
    ///
    /// # Errors
    /// If a copy that was under way failed.
    fn finish(&mut self) -> Result<(), MemoryError> {
        Ok(())
    }
}

/// What makes buffers at one place.
pub trait Allocator: Send + Sync + Debug {
    /// Where its memory is.
    fn place(&self) -> Place;

    /// A buffer of `size` bytes. What is in it is not said.
    ///
    /// # Errors
    /// If there is no memory for it.
    fn allocate(&self, size: usize) -> Result<Box<dyn PlacedBufferMut>, MemoryError>;
}

/// A part of some memory, borrowed: the source of a copy, or an input of a batch.
#[derive(Clone, Copy, Debug)]
pub enum PlacedSlice<'a> {
    /// Host memory.
    Host(&'a [u8]),
    /// A part of a buffer at some place.
    Placed {
        /// The whole buffer.
        buffer: &'a dyn PlacedBuffer,
        /// Where the part begins in it, in bytes.
        start: usize,
        /// How many bytes the part has.
        len: usize,
    },
}

impl<'a> PlacedSlice<'a> {
    /// How many bytes there are.
    pub fn len(&self) -> usize {
        match self {
            PlacedSlice::Host(bytes) => bytes.len(),
            PlacedSlice::Placed { len, .. } => *len,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the memory is.
    pub fn place(&self) -> Place {
        match self {
            PlacedSlice::Host(_) => Place::Host,
            PlacedSlice::Placed { buffer, .. } => buffer.place(),
        }
    }

    /// The bytes, if they are host memory that may be borrowed.
    pub fn as_host(&self) -> Option<&'a [u8]> {
        match *self {
            PlacedSlice::Host(bytes) => Some(bytes),
            PlacedSlice::Placed { buffer, start, len } => {
                buffer.as_host().map(|all| &all[start..start + len])
            }
        }
    }

    /// The `len` bytes from `start` on.
    ///
    /// # Panics
    /// If there are fewer.
    #[must_use]
    pub fn part(&self, start: usize, len: usize) -> PlacedSlice<'a> {
        match *self {
            PlacedSlice::Host(bytes) => PlacedSlice::Host(&bytes[start..start + len]),
            PlacedSlice::Placed { buffer, start: first, len: all } => {
                let end = start.checked_add(len);
                assert!(
                    end.is_some_and(|end| end <= all),
                    "{len} bytes from {start} on are no part of {all}"
                );
                PlacedSlice::Placed { buffer, start: first + start, len }
            }
        }
    }

    /// Fills `target`, which has exactly as many bytes: one copy or transfer.
    ///
    /// # Errors
    /// If a transfer failed.
    ///
    /// # Panics
    /// If `target` has another size.
    pub fn copy_to_host(&self, target: &mut [MaybeUninit<u8>]) -> Result<(), MemoryError> {
        assert_eq!(target.len(), self.len(), "the room for a tensor has its size");
        match *self {
            PlacedSlice::Host(bytes) => {
                target.write_copy_of_slice(bytes);
                Ok(())
            }
            PlacedSlice::Placed { buffer, start, .. } => buffer.copy_to_host(start, target),
        }
    }

    /// The bytes in host memory of their own: one copy or transfer.
    ///
    /// # Errors
    /// If there is no memory for them, or a transfer failed.
    pub fn to_vec(&self) -> Result<Vec<u8>, MemoryError> {
        let size = self.len();
        let mut copy = allocate(size)?;
        self.copy_to_host(&mut copy.spare_capacity_mut()[..size])?;
        // SAFETY: there is room for as many, and all of them were written.
        unsafe { copy.set_len(size) };
        Ok(copy)
    }
}

impl<'a> From<&'a [u8]> for PlacedSlice<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        PlacedSlice::Host(bytes)
    }
}

/// An empty vector with room for `size` bytes.
pub(crate) fn allocate(size: usize) -> Result<Vec<u8>, MemoryError> {
    let mut room = Vec::new();
    room.try_reserve_exact(size).map_err(|_| MemoryError::no_host_memory(size))?;
    Ok(room)
}
