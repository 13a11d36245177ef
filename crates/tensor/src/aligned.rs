//! A reusable byte buffer in host memory, aligned to 64 bytes as engines prefer it. The memory is kept between uses and is
//! not zeroed.

#![allow(unsafe_code, reason = "owns raw memory, so that it can be aligned and left unwritten")]

use std::alloc::{Layout, alloc, dealloc};
use std::ptr::NonNull;
use std::slice;

use crate::{MemoryError, PlacedSlice};

/// The alignment of every [`AlignedBuffer`] in bytes: the size of a cache line and of the widest vector registers.
pub const ALIGNMENT: usize = 64;

/// A byte buffer, aligned to [`ALIGNMENT`], that is refilled for each batch. An instance keeps one per input and gathers
/// each batch into it. It allocates only for a batch larger than all before, and its pages stay mapped.
#[derive(Debug)]
pub struct AlignedBuffer {
    start: NonNull<u8>,
    capacity: usize,
    /// The number of bytes that were appended.
    len: usize,
}

// SAFETY: the memory is owned by this value alone and is plain bytes.
unsafe impl Send for AlignedBuffer {}
// SAFETY: a shared reference only reads.
unsafe impl Sync for AlignedBuffer {}

impl AlignedBuffer {
    /// Empties the buffer and ensures a capacity of `size` bytes. Allocates only if the capacity was smaller.
    ///
    /// # Errors
    /// If the allocation fails. The buffer is empty then, and can be restarted with a smaller size.
    pub fn restart(&mut self, size: usize) -> Result<(), MemoryError> {
        self.len = 0;
        if size > self.capacity {
            // The old memory is freed first, so that two large buffers never exist at the same time.
            *self = AlignedBuffer::default();
            *self = AlignedBuffer::with_capacity(size)?;
        }
        Ok(())
    }

    /// Appends bytes by one copy.
    ///
    /// # Panics
    /// If they do not fit into the capacity that [`AlignedBuffer::restart`] reserved.
    pub fn push(&mut self, bytes: &[u8]) {
        let end = self.end_after(bytes.len());
        // SAFETY: `len..end` lies within the allocation, and a borrowed slice cannot overlap memory borrowed mutably.
        unsafe { self.start.as_ptr().add(self.len).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        self.len = end;
    }

    /// Appends bytes from any place by one copy or transfer.
    ///
    /// # Errors
    /// If the transfer fails. Nothing is appended then.
    ///
    /// # Panics
    /// If they do not fit into the capacity that [`AlignedBuffer::restart`] reserved.
    pub fn push_placed(&mut self, bytes: PlacedSlice<'_>) -> Result<(), MemoryError> {
        let count = bytes.len();
        let end = self.end_after(count);
        // SAFETY: `len..end` lies within the allocation, nobody else has it while this is borrowed, and bytes of any value
        // or none are what the slice is made of.
        let target = unsafe { slice::from_raw_parts_mut(self.start.as_ptr().add(self.len).cast(), count) };
        bytes.copy_to_host(target)?;
        self.len = end;
        Ok(())
    }

    /// Appends `count` zero bytes.
    ///
    /// # Panics
    /// If they do not fit into the capacity that [`AlignedBuffer::restart`] reserved.
    pub fn push_zeros(&mut self, count: usize) {
        let end = self.end_after(count);
        // SAFETY: `len..end` lies within the allocation.
        unsafe { self.start.as_ptr().add(self.len).write_bytes(0, count) };
        self.len = end;
    }

    /// Appends the last `size` bytes `times` times more.
    ///
    /// # Panics
    /// If there are fewer bytes, or they do not fit into the capacity that [`AlignedBuffer::restart`] reserved.
    pub fn repeat_last(&mut self, size: usize, times: usize) {
        assert!(size <= self.len, "{size} bytes are to be repeated of {}", self.len);
        for _ in 0..times {
            let end = self.end_after(size);
            let from = self.len - size;
            // SAFETY: both ranges lie within the allocation, and the second begins where the first ends.
            unsafe {
                let start = self.start.as_ptr();
                start.add(self.len).copy_from_nonoverlapping(start.add(from), size);
            }
            self.len = end;
        }
    }

    /// The bytes that were appended since the last restart.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: the first `len` bytes were written, and `start` is never null.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    fn end_after(&self, count: usize) -> usize {
        let end = self.len.checked_add(count).expect("a slice's length fits beside another's");
        assert!(end <= self.capacity, "the buffer has room for {} bytes, {end} were pushed", self.capacity);
        end
    }

    fn with_capacity(size: usize) -> Result<Self, MemoryError> {
        let layout = size
            .checked_next_multiple_of(ALIGNMENT)
            .and_then(|capacity| Layout::from_size_align(capacity, ALIGNMENT).ok());
        let Some(layout) = layout else { return Err(MemoryError::no_host_memory(size)) };
        // SAFETY: the layout's size is not zero: `restart` allocates only for more than it has.
        let start = unsafe { alloc(layout) };
        // A client can announce a very large tensor in shared memory at no cost, so a failed allocation must not end the
        // process.
        let Some(start) = NonNull::new(start) else { return Err(MemoryError::no_host_memory(size)) };
        Ok(AlignedBuffer { start, capacity: layout.size(), len: 0 })
    }
}

impl Default for AlignedBuffer {
    /// An empty buffer that owns no memory.
    fn default() -> Self {
        AlignedBuffer { start: NonNull::<Aligned>::dangling().cast(), capacity: 0, len: 0 }
    }
}

/// A type with the alignment of the buffer, for the dangling pointer of an empty one.
#[repr(align(64))]
struct Aligned;

impl Drop for AlignedBuffer {
    fn drop(&mut self) {
        if self.capacity > 0 {
            // SAFETY: `with_capacity` made a valid layout of this size and alignment.
            let layout = unsafe { Layout::from_size_align_unchecked(self.capacity, ALIGNMENT) };
            // SAFETY: it was allocated with this very layout, and not given away.
            unsafe { dealloc(self.start.as_ptr(), layout) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_aligned_and_keeps_its_memory() {
        let mut buffer = AlignedBuffer::default();
        assert_eq!(buffer.as_slice(), b"");
        buffer.restart(100).unwrap();
        let start = buffer.start;
        assert_eq!(start.as_ptr() as usize % ALIGNMENT, 0);
        buffer.push(b"abc");
        buffer.push_zeros(2);
        assert_eq!(buffer.as_slice(), b"abc\0\0");
        buffer.repeat_last(3, 2);
        assert_eq!(buffer.as_slice(), b"abc\0\0c\0\0c\0\0");
        buffer.restart(128).unwrap();
        assert_eq!(buffer.start, start, "128 bytes fit into what 100 were rounded up to");
        assert_eq!(buffer.as_slice(), b"");
    }

    #[test]
    fn what_fits_into_no_memory_is_an_error_and_leaves_the_buffer_usable() {
        let mut buffer = AlignedBuffer::default();
        for size in [1 << 62, usize::MAX] {
            assert_eq!(buffer.restart(size), Err(MemoryError::no_host_memory(size)));
        }
        buffer.restart(3).unwrap();
        buffer.push(b"abc");
        assert_eq!(buffer.as_slice(), b"abc");
    }

    #[test]
    #[should_panic(expected = "room for 64 bytes, 65 were pushed")]
    fn refuses_to_write_beyond_its_room() {
        let mut buffer = AlignedBuffer::default();
        buffer.restart(1).unwrap();
        buffer.push(&[0; 65]);
    }
}
