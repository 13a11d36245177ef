//! The pool of pinned host memory, and its buffers.

use std::any::Any;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr::{NonNull, null_mut};
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hippocamp_tensor::{Allocator, MemoryError, Place, PlacedBuffer, PlacedBufferMut, PlacedSlice};
use parking_lot::Mutex;

use super::gpu::Gpu;
use super::host::{HostMemory, as_uninit};
use super::memory::DeviceMemory;
use super::pending::Pending;
use super::status;

/// Memory for all contexts, not only the one in which it was allocated.
const CU_MEMHOSTALLOC_PORTABLE: u32 = 1;

/// The smallest block in bytes: one page.
const SMALLEST: usize = 4096;

/// Pinned host memory for all GPUs. Blocks are kept for reuse, by their sizes.
#[derive(Debug)]
pub(super) struct PinnedPool {
    /// The GPU whose context the memory is allocated in.
    gpu: Arc<Gpu>,
    /// The most bytes that it takes.
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Unused blocks by size.
    free: BTreeMap<usize, Vec<Block>>,
    /// The bytes of all blocks.
    taken: usize,
    /// The bytes of the blocks that are in use.
    used: usize,
}

impl State {
    /// An unused block of this size. One that a copy still reads is left alone: waiting for that may take longer than the copy
    /// that is to come.
    fn reuse(&mut self, size: usize) -> Option<Block> {
        let blocks = self.free.get_mut(&size)?;
        let at = blocks.iter().rposition(Block::is_idle)?;
        self.used += size;
        Some(blocks.swap_remove(at))
    }

    /// Takes out unused blocks of other sizes, the largest first, until `size` bytes more are within the limit. Takes out none,
    /// and returns `None`, if all of them are not enough.
    fn make_room(&mut self, size: usize, limit: usize) -> Option<Vec<Block>> {
        let wanted = self.taken.checked_add(size)?.saturating_sub(limit);
        let mut idle = Vec::new();
        let mut found = 0;
        for (block_size, blocks) in self.free.iter().rev() {
            for (at, _) in blocks.iter().enumerate().rev().filter(|(_, block)| block.is_idle()) {
                if found < wanted {
                    idle.push((*block_size, at));
                    found += block_size;
                }
            }
        }
        if found < wanted {
            return None;
        }
        self.taken -= found;
        let take =
            |(size, at)| self.free.get_mut(&size).map(|blocks: &mut Vec<Block>| blocks.swap_remove(at));
        Some(idle.into_iter().filter_map(take).collect())
    }
}

/// A block of pinned memory.
#[derive(Debug)]
struct Block {
    start: NonNull<u8>,
    size: usize,
    /// Copies that still read it.
    pending: Pending,
}

// SAFETY: it is an address and a size; who has the block has the memory.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    /// Whether no copy reads it any more.
    fn is_idle(&self) -> bool {
        self.pending.is_over()
    }
}

/// The size of the block for `size` bytes: a power of two in quarters, so that at most a fifth is left over.
fn block_size(size: usize) -> Option<usize> {
    let size = size.max(SMALLEST);
    let step = (1usize << size.ilog2()) / 4;
    size.checked_next_multiple_of(step)
}

impl PinnedPool {
    pub(super) fn new(gpu: Arc<Gpu>, limit: usize) -> PinnedPool {
        PinnedPool { gpu, limit, state: Mutex::default() }
    }

    /// The bytes in use, and the most that there may be.
    pub(super) fn usage(&self) -> (u64, u64) {
        (self.state.lock().used as u64, self.limit as u64)
    }

    /// A block for `size` bytes; None if the pool is exhausted, or if the driver has no more.
    fn take(&self, size: usize) -> Option<Block> {
        let size = block_size(size)?;
        let mut state = self.state.lock();
        if let Some(block) = state.reuse(size) {
            return Some(block);
        }
        let unused = state.make_room(size, self.limit)?;
        state.taken += size;
        state.used += size;
        drop(state);
        for block in &unused {
            self.free(block);
        }
        let block = self.allocate_block(size);
        if block.is_none() {
            let mut state = self.state.lock();
            state.taken -= size;
            state.used -= size;
        }
        block
    }

    fn allocate_block(&self, size: usize) -> Option<Block> {
        let (_, _entered) = self.gpu.enter().ok()?;
        let mut start: *mut c_void = null_mut();
        // SAFETY: writes the address.
        let status =
            unsafe { (self.gpu.functions.allocate_host)(&raw mut start, size, CU_MEMHOSTALLOC_PORTABLE) };
        if status != status::SUCCESS {
            tracing::debug!("no {size} bytes of pinned memory: {}", self.gpu.functions.describe(status));
            return None;
        }
        let start = NonNull::new(start.cast::<u8>())?;
        // SAFETY: as many bytes were allocated. Zeros make them a valid slice.
        unsafe { start.as_ptr().write_bytes(0, size) };
        Some(Block { start, size, pending: Pending::default() })
    }

    /// Gives a block back to the driver. It must not be used any more.
    fn free(&self, block: &Block) {
        if block.pending.wait().is_ok()
            && let Ok((_, _entered)) = self.gpu.enter()
        {
            // SAFETY: allocated by this pool, and nothing uses it.
            unsafe { (self.gpu.functions.free_host)(block.start.as_ptr().cast()) };
        }
    }

    fn give_back(&self, block: Block) {
        let mut state = self.state.lock();
        state.used -= block.size;
        state.free.entry(block.size).or_default().push(block);
    }

    /// Pinned memory, or ordinary host memory if the pool is exhausted.
    pub(super) fn allocate(self: Arc<Self>, size: usize) -> Result<Box<dyn PlacedBufferMut>, MemoryError> {
        match self.take(size) {
            Some(block) => Ok(Box::new(PinnedMemory {
                block: Some(block),
                len: size,
                is_written_by_device: AtomicBool::new(false),
                pool: self,
            })),
            None => Ok(Box::new(HostMemory::new(size)?)),
        }
    }
}

impl Drop for PinnedPool {
    fn drop(&mut self) {
        let free = std::mem::take(&mut self.state.get_mut().free);
        free.values().flatten().for_each(|block| self.free(block));
    }
}

/// The allocator of the pool.
#[derive(Debug)]
pub(super) struct Pinned(pub(super) Arc<PinnedPool>);

impl Allocator for Pinned {
    fn place(&self) -> Place {
        Place::Pinned
    }

    fn allocate(&self, size: usize) -> Result<Box<dyn PlacedBufferMut>, MemoryError> {
        Arc::clone(&self.0).allocate(size)
    }
}

/// A buffer of pinned memory.
#[derive(Debug)]
pub(super) struct PinnedMemory {
    /// None only while it is dropped.
    block: Option<Block>,
    len: usize,
    /// Whether a copy from a device may still write to it.
    is_written_by_device: AtomicBool,
    pool: Arc<PinnedPool>,
}

impl PinnedMemory {
    fn block(&self) -> &Block {
        self.block.as_ref().expect("a buffer has a block until it is dropped")
    }

    pub(super) fn pending(&self) -> &Pending {
        &self.block().pending
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the block has as many bytes, all written; they change only under `&mut self`.
        unsafe { slice::from_raw_parts(self.block().start.as_ptr(), self.len) }
    }

    /// The bytes for writing, once nothing reads them any more.
    fn bytes_mut(&mut self) -> Result<&mut [u8], MemoryError> {
        self.finish()?;
        // SAFETY: the block has as many bytes, and this is the only reference to them.
        Ok(unsafe { slice::from_raw_parts_mut(self.block().start.as_ptr(), self.len) })
    }
}

// SAFETY: the length is fixed, and all of the target is written.
unsafe impl PlacedBuffer for PinnedMemory {
    fn len(&self) -> usize {
        self.len
    }

    fn place(&self) -> Place {
        Place::Pinned
    }

    fn as_host(&self) -> Option<&[u8]> {
        // Nobody may see bytes of which a device still writes some.
        if self.is_written_by_device.load(Ordering::Acquire) {
            self.pending().wait().ok()?;
            self.is_written_by_device.store(false, Ordering::Release);
        }
        Some(self.bytes())
    }

    fn copy_to_host(&self, start: usize, target: &mut [MaybeUninit<u8>]) -> Result<(), MemoryError> {
        self.pending().wait()?;
        target.write_copy_of_slice(&self.bytes()[start..start + target.len()]);
        Ok(())
    }

    fn allocate_beside(&self, size: usize) -> Result<Option<Box<dyn PlacedBufferMut>>, MemoryError> {
        Arc::clone(&self.pool).allocate(size).map(Some)
    }
}

impl PlacedBufferMut for PinnedMemory {
    fn copy_from(&mut self, start: usize, source: PlacedSlice<'_>) -> Result<(), MemoryError> {
        if let PlacedSlice::Placed { buffer, start: first, len } = source
            && let Some(memory) = (buffer as &dyn Any).downcast_ref::<DeviceMemory>()
        {
            let end = start.checked_add(len);
            assert!(
                end.is_some_and(|end| end <= self.len),
                "{len} bytes from {start} on are no part of {}",
                self.len
            );
            self.is_written_by_device.store(true, Ordering::Release);
            // SAFETY: the range is within the block.
            let target = unsafe { self.block().start.as_ptr().add(start) };
            return memory.copy_to_pinned(first, len, self, target.cast());
        }
        source.copy_to_host(as_uninit(&mut self.bytes_mut()?[start..start + source.len()]))
    }

    fn as_host_mut(&mut self) -> Option<&mut [u8]> {
        self.bytes_mut().ok()
    }

    fn copy_within(&mut self, from: usize, len: usize, to: usize) -> Result<(), MemoryError> {
        self.bytes_mut()?.copy_within(from..from + len, to);
        Ok(())
    }

    fn fill_zeros(&mut self, start: usize, count: usize) -> Result<(), MemoryError> {
        self.bytes_mut()?[start..start + count].fill(0);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), MemoryError> {
        let Some(block) = &mut self.block else { return Ok(()) };
        block.pending.wait()?;
        block.pending.clear();
        *self.is_written_by_device.get_mut() = false;
        Ok(())
    }
}

impl Drop for PinnedMemory {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            self.pool.give_back(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_of_a_block_is_left_over() {
        for size in (1..100_000).step_by(37) {
            let block = block_size(size).unwrap();
            assert!(block >= size && (size < SMALLEST || (block - size) * 4 <= size), "{size} {block}");
        }
        assert_eq!([1, 4096, 4097, 5121, 8192].map(block_size), [4096, 4096, 5120, 6144, 8192].map(Some));
        assert_eq!(block_size(usize::MAX), None);
    }
    #[test]
    fn room_is_made_by_what_is_unused_or_not_at_all() {
        let mut state = State::default();
        for size in [10, 10, 20, 30] {
            let block = Block { start: NonNull::dangling(), size, pending: Pending::default() };
            state.free.entry(size).or_default().push(block);
            state.taken += size;
        }
        assert_eq!(state.reuse(10).map(|block| block.size), Some(10));
        assert!(state.reuse(11).is_none());
        let sizes = |blocks: Option<Vec<Block>>| {
            blocks.map(|blocks| blocks.iter().map(|block| block.size).collect::<Vec<_>>())
        };
        assert_eq!(sizes(state.make_room(30, 100)), Some(vec![]));
        assert_eq!((sizes(state.make_room(91, 100)), state.taken), (None, 70), "one of 10 is in use");
        assert_eq!((sizes(state.make_room(usize::MAX, 100)), state.taken), (None, 70));
        assert_eq!((sizes(state.make_room(65, 100)), state.taken), (Some(vec![30, 20]), 20));
        assert_eq!((sizes(state.make_room(90, 100)), state.taken, state.used), (Some(vec![10]), 10, 10));
    }
}
