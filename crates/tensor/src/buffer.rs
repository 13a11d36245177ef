//! Placed buffers: memory of a device or of a client, which cannot be borrowed as a slice.

#![allow(
    unsafe_code,
    reason = "whoever implements the trait promises to fill memory that was not written before"
)]

use std::any::Any;
use std::fmt::Debug;
use std::mem::MaybeUninit;

use crate::{MemoryError, Place};

/// A block of memory at some [`Place`] that can be copied out of: a device's memory, or a region that a client shares.
/// Ordinary host memory of this process is held as `Bytes` instead.
///
/// A buffer is [`Any`], so that a driver recognises its own buffers by `downcast`.
///
/// If a client's memory has disappeared, a copy fills the missing bytes with zeros and returns no error, because a batch
/// must not fail because of one request. The owner of the buffer reports the loss before the response is sent.
///
/// # Safety
/// [`PlacedBuffer::len`] never changes, and [`PlacedBuffer::copy_to_host`] writes every byte of its target if it succeeds.
pub unsafe trait PlacedBuffer: Any + Send + Sync + Debug {
    /// The size in bytes.
    fn len(&self) -> usize;

    /// Whether the size is 0.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The place of the memory.
    fn place(&self) -> Place;

    /// By how many bytes the buffer begins behind an address that is aligned for every use; 0 for memory that a driver
    /// allocated, other values for parts of what a client shares.
    fn misalignment(&self) -> usize {
        0
    }

    /// The bytes as a slice, if they are host memory that nobody can change while the buffer lives, such as pinned memory
    /// that no client or device writes to; otherwise `None`.
    fn as_host(&self) -> Option<&[u8]> {
        None
    }

    /// Fills `target` with the bytes from `start` on. Waits until the copy is complete, including all earlier writes to the
    /// buffer.
    ///
    /// # Errors
    /// If the transfer fails; `target` may be written in part.
    ///
    /// # Panics
    /// If the range is outside of the buffer.
    fn copy_to_host(&self, start: usize, target: &mut [MaybeUninit<u8>]) -> Result<(), MemoryError>;

    /// A new buffer of `size` bytes at the same place and of the same driver; `None` if the place is host memory.
    ///
    /// # Errors
    /// If the allocation fails.
    fn allocate_beside(&self, size: usize) -> Result<Option<Box<dyn PlacedBufferMut>>, MemoryError> {
        let _ = size;
        Ok(None)
    }
}

/// A buffer that its only owner fills. A filled buffer can be shared, as `Arc<dyn PlacedBufferMut>` converts to `Arc<dyn
/// PlacedBuffer>`.
///
/// A driver may write asynchronously, on a stream of its own: a write need not be complete when its method returns. The
/// caller may then change the source, and every later use of the buffer through these traits is ordered after the write.
pub trait PlacedBufferMut: PlacedBuffer {
    /// Copies `source`, from any place, to the bytes from `start` on. This is one copy, except from a place that the driver
    /// does not reach: then the bytes go through host memory.
    ///
    /// # Errors
    /// If the transfer fails; the target may be written in part.
    ///
    /// # Panics
    /// If the range is outside of the buffer.
    fn copy_from(&mut self, start: usize, source: PlacedSlice<'_>) -> Result<(), MemoryError>;

    /// As [`copy_from`](PlacedBufferMut::copy_from), of several sources to places that do not overlap. A driver may make one operation
    /// of them.
    ///
    /// # Errors
    /// If a transfer fails; the target may be written in part.
    ///
    /// # Panics
    /// If a range is outside of the buffer.
    fn copy_many(&mut self, parts: &[(usize, PlacedSlice<'_>)]) -> Result<(), MemoryError> {
        parts.iter().try_for_each(|(start, source)| self.copy_from(*start, *source))
    }

    /// Copies `source` to the beginning of this buffer, and each of the `others` to the beginning of its own. A driver may make one
    /// operation of them.
    ///
    /// # Errors
    /// If a transfer fails; the targets may be written in part.
    ///
    /// # Panics
    /// If a target is too small.
    fn copy_with(
        &mut self,
        source: PlacedSlice<'_>,
        others: &mut [(&mut dyn PlacedBufferMut, PlacedSlice<'_>)],
    ) -> Result<(), MemoryError> {
        self.copy_from(0, source)?;
        others.iter_mut().try_for_each(|(target, source)| target.copy_from(0, *source))
    }

    /// Writes `count` zeros from `start` on.
    ///
    /// # Errors
    /// If the device reports an error.
    ///
    /// # Panics
    /// If the range is outside of the buffer.
    fn fill_zeros(&mut self, start: usize, count: usize) -> Result<(), MemoryError>;

    /// The bytes to be written in place, if they are host memory such as pinned memory, which nothing else reads or writes
    /// meanwhile; otherwise `None`. Their content is unspecified at first.
    fn as_host_mut(&mut self) -> Option<&mut [u8]> {
        None
    }

    /// Copies the `len` bytes from `from` on to those from `to` on, within the buffer. The ranges do not overlap. By default
    /// the bytes go through host memory; a driver that can copy on its device does.
    ///
    /// # Errors
    /// If the device reports an error; the target may be written in part.
    ///
    /// # Panics
    /// If a range is outside of the buffer.
    fn copy_within(&mut self, from: usize, len: usize, to: usize) -> Result<(), MemoryError> {
        let mut host = allocate(len)?;
        self.copy_to_host(from, &mut host.spare_capacity_mut()[..len])?;
        // SAFETY: there is room for as many, and all of them were written.
        unsafe { host.set_len(len) };
        self.copy_from(to, PlacedSlice::Host(&host))
    }

    /// Waits until all writes are complete, for readers that access the memory without these traits.
    ///
    /// # Errors
    /// If a pending copy failed.
    fn finish(&mut self) -> Result<(), MemoryError> {
        Ok(())
    }
}

/// Allocates buffers at one place.
pub trait Allocator: Send + Sync + Debug {
    /// The place of its buffers.
    fn place(&self) -> Place;

    /// Allocates a buffer of `size` bytes with unspecified content.
    ///
    /// # Errors
    /// If the allocation fails.
    fn allocate(&self, size: usize) -> Result<Box<dyn PlacedBufferMut>, MemoryError>;
}

/// A borrowed range of memory at any place: the source of a copy, or an input of a batch.
#[derive(Clone, Copy, Debug)]
pub enum PlacedSlice<'a> {
    /// Host memory.
    Host(&'a [u8]),
    /// A range of a placed buffer.
    Placed {
        /// The whole buffer.
        buffer: &'a dyn PlacedBuffer,
        /// The offset of the range in the buffer, in bytes.
        start: usize,
        /// The size of the range in bytes.
        len: usize,
    },
}

impl<'a> PlacedSlice<'a> {
    /// The size in bytes.
    pub fn len(&self) -> usize {
        match self {
            PlacedSlice::Host(bytes) => bytes.len(),
            PlacedSlice::Placed { len, .. } => *len,
        }
    }

    /// Whether the size is 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The place of the memory.
    pub fn place(&self) -> Place {
        match self {
            PlacedSlice::Host(_) => Place::Host,
            PlacedSlice::Placed { buffer, .. } => buffer.place(),
        }
    }

    /// The bytes as a slice, if they are host memory that may be borrowed; otherwise `None`.
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
    /// If there are fewer bytes.
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

    /// Fills `target`, which must have the same size, by one copy or transfer.
    ///
    /// # Errors
    /// If a transfer fails.
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

    /// Copies the bytes to a new vector by one copy or transfer.
    ///
    /// # Errors
    /// If the allocation or the transfer fails.
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

/// An empty vector with a capacity of `size` bytes, or an error if the allocation fails.
pub(crate) fn allocate(size: usize) -> Result<Vec<u8>, MemoryError> {
    let mut room = Vec::new();
    room.try_reserve_exact(size).map_err(|_| MemoryError::no_host_memory(size))?;
    Ok(room)
}
