//! Buffers in the memory of a simulated device.

use std::any::Any;
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hippocamp_tensor::{MemoryError, Place, PlacedBuffer, PlacedBufferMut, PlacedSlice};

use super::TestDevice;
use super::exported::TestPart;
use super::queue::Queue;

/// A buffer in the memory of a device. If it belongs to a stream, what is written to it is written in the order of the stream,
/// when something that has to come after is done: a missing wait for an engine shows as wrong content.
#[derive(Debug)]
pub struct TestMemory {
    pub(super) device: Arc<TestDevice>,
    block: Arc<Block>,
    /// Of the stream that it belongs to.
    queue: Option<Arc<Queue>>,
    /// Where it is in truth, if something else allocated it: what is written to it is seen there once it is finished.
    pub(super) adopted: Option<u64>,
    /// What reads have to come after: so many works of a stream.
    pending: Mutex<Vec<(Arc<Queue>, u64)>>,
}

/// Bytes that works write to while others have their address.
#[derive(Debug)]
struct Block(UnsafeCell<Box<[u8]>>);

// SAFETY: accesses are ordered by the streams, as on a device; a test that forgets a wait reads what is there.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    /// # Safety
    /// Nobody writes to these bytes meanwhile.
    unsafe fn bytes(&self, start: usize, len: usize) -> &[u8] {
        // SAFETY: the caller's word; the box itself is never replaced.
        unsafe { &(&(*self.0.get()))[start..start + len] }
    }

    /// # Safety
    /// Nobody accesses these bytes meanwhile.
    #[expect(clippy::mut_from_ref, reason = "it is memory of a device")]
    unsafe fn bytes_mut(&self, start: usize, len: usize) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { &mut (&mut (*self.0.get()))[start..start + len] }
    }
}

impl TestMemory {
    /// Memory with unspecified content, for which its device has room.
    pub(super) fn new(device: Arc<TestDevice>, size: usize, queue: Option<&Arc<Queue>>) -> TestMemory {
        let pending = queue.iter().map(|queue| (Arc::clone(queue), queue.end())).collect();
        TestMemory {
            device,
            // The content of new memory is unspecified; this pattern makes wrong reads visible in tests.
            block: Arc::new(Block(UnsafeCell::new(vec![0xA5; size].into_boxed_slice()))),
            queue: queue.map(Arc::clone),
            adopted: None,
            pending: Mutex::new(pending),
        }
    }

    fn pending(&self) -> MutexGuard<'_, Vec<(Arc<Queue>, u64)>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has reads come after so many works of a stream.
    pub(super) fn after(&self, queue: &Arc<Queue>, end: u64) {
        let mut pending = self.pending();
        pending.retain(|(other, _)| !Arc::ptr_eq(other, queue));
        pending.push((Arc::clone(queue), end));
    }

    /// Executes what is pending, except on a stream that orders it by itself.
    pub(super) fn settle(&self, except: Option<&Arc<Queue>>) {
        let pending = self.pending().clone();
        for (queue, end) in pending {
            if except.is_none_or(|except| !Arc::ptr_eq(except, &queue)) {
                queue.run_until(end);
            }
        }
    }

    /// The bytes as they are now.
    pub(super) fn bytes(&self, start: usize, len: usize) -> &[u8] {
        // SAFETY: works that write to them are executed by calls that wait for them, such as the caller's own.
        unsafe { self.block.bytes(start, len) }
    }

    /// The first of the bytes.
    pub(super) fn start(slice: PlacedSlice<'_>) -> Option<u64> {
        let PlacedSlice::Placed { buffer, start, len } = slice else { return None };
        let any: &dyn Any = buffer;
        any.downcast_ref::<TestMemory>().map(|memory| memory.bytes(start, len).as_ptr() as u64)
    }

    /// The bytes of a slice as a kernel on the device would see them, without a transfer; `None` if the slice is not memory
    /// of a test device.
    pub fn seen_by_kernel(slice: PlacedSlice<'_>) -> Option<&[u8]> {
        let PlacedSlice::Placed { buffer, start, len } = slice else { return None };
        let any: &dyn Any = buffer;
        let memory = any.downcast_ref::<TestMemory>()?;
        memory.settle(None);
        Some(memory.bytes(start, len))
    }

    /// Writes bytes from `start` on as a kernel on the device would: no transfer is counted.
    ///
    /// # Panics
    /// If the memory has fewer bytes.
    pub fn write_by_kernel(&mut self, start: usize, bytes: &[u8]) {
        self.settle(None);
        // SAFETY: the memory is borrowed for it, and nothing is pending.
        unsafe { self.block.bytes_mut(start, bytes.len()) }.copy_from_slice(bytes);
    }

    /// Writes to a range in the order of the stream, if there is one; right now otherwise.
    pub(super) fn write(
        &mut self,
        (start, len): (usize, usize),
        write: impl FnOnce(&mut [u8]) + Send + 'static,
    ) {
        let (block, queue) = (Arc::clone(&self.block), self.queue.clone());
        self.settle(queue.as_ref());
        // The range is checked where a test can see who asks for it.
        let _ = self.bytes(start, len);
        // SAFETY: works come one at a time, and others that access these bytes have been ordered with this stream.
        let work = move || write(unsafe { block.bytes_mut(start, len) });
        match queue {
            None => work(),
            Some(queue) => {
                let end = queue.put(Box::new(work));
                self.after(&queue, end);
            }
        }
    }

    /// Copies from memory of the same driver.
    fn copy(&mut self, start: usize, source: &TestMemory, from: usize, len: usize) {
        let _ = source.bytes(from, len);
        match (&self.queue, &source.queue) {
            (Some(own), Some(other)) if Arc::ptr_eq(own, other) => {
                source.settle(Some(own));
                let (own, block) = (Arc::clone(own), Arc::clone(&source.block));
                self.write((start, len), move |target| {
                    // SAFETY: in the order of the stream, which both belong to.
                    target.copy_from_slice(unsafe { block.bytes(from, len) });
                });
                source.after(&own, own.end());
            }
            _ => {
                // What the other stream has not been asked to order is not there yet.
                source.settle(None);
                let bytes = source.bytes(from, len).to_vec();
                self.write((start, len), move |target| target.copy_from_slice(&bytes));
            }
        }
    }
}

impl Drop for TestMemory {
    fn drop(&mut self) {
        self.device.give_back(self.block.len());
        if self.adopted.is_some() {
            // Its owner wants it back.
            self.settle(None);
        }
        if let Some(queue) = &self.queue {
            // In the order of the stream, as work on it may still use the memory.
            let block = Arc::clone(&self.block);
            queue.put(Box::new(move || drop(block)));
        }
    }
}

impl Block {
    fn len(&self) -> usize {
        // SAFETY: the length is fixed.
        unsafe { (&(*self.0.get())).len() }
    }
}

// SAFETY: the length is fixed, and all of the target is written.
unsafe impl PlacedBuffer for TestMemory {
    fn len(&self) -> usize {
        self.block.len()
    }

    fn place(&self) -> Place {
        self.device.place
    }

    fn as_host(&self) -> Option<&[u8]> {
        (self.device.place == Place::Pinned).then(|| self.bytes(0, self.len()))
    }

    fn copy_to_host(&self, start: usize, target: &mut [MaybeUninit<u8>]) -> Result<(), MemoryError> {
        self.device.to_host.fetch_add(1, Ordering::SeqCst);
        self.settle(None);
        target.write_copy_of_slice(self.bytes(start, target.len()));
        Ok(())
    }

    fn allocate_beside(&self, size: usize) -> Result<Option<Box<dyn PlacedBufferMut>>, MemoryError> {
        Ok(Some(Box::new(self.device.allocate_on(size, self.queue.as_ref())?)))
    }
}

impl PlacedBufferMut for TestMemory {
    fn copy_from(&mut self, start: usize, source: PlacedSlice<'_>) -> Result<(), MemoryError> {
        let len = source.len();
        let PlacedSlice::Placed { buffer, start: from, .. } = source else {
            self.device.from_host.fetch_add(1, Ordering::SeqCst);
            let bytes = source.as_host().unwrap_or_default().to_vec();
            self.write((start, len), move |target| target.copy_from_slice(&bytes));
            return Ok(());
        };
        let any: &dyn Any = buffer;
        if let Some(memory) = any.downcast_ref::<TestMemory>() {
            let count = match (memory.device.place, self.device.place) {
                (from, to) if from == to => &self.device.within,
                (Place::Device(_), Place::Pinned) => &memory.device.to_host,
                (Place::Pinned, _) => &self.device.from_host,
                _ => &self.device.between,
            };
            count.fetch_add(1, Ordering::SeqCst);
            self.copy(start, memory, from, len);
            return Ok(());
        }
        let bytes = if let Some(part) = any.downcast_ref::<TestPart>() {
            let same = Arc::ptr_eq(&part.memory.device, &self.device);
            let count = if same { &self.device.within } else { &self.device.between };
            count.fetch_add(1, Ordering::SeqCst);
            part.read(from, len)
        } else {
            // Bytes in memory that this driver does not reach are copied through host memory.
            self.device.from_host.fetch_add(1, Ordering::SeqCst);
            source.to_vec()?
        };
        self.write((start, len), move |target| target.copy_from_slice(&bytes));
        Ok(())
    }

    fn as_host_mut(&mut self) -> Option<&mut [u8]> {
        if self.device.place != Place::Pinned {
            return None;
        }
        self.settle(None);
        // SAFETY: the memory is borrowed for it, and nothing is pending.
        Some(unsafe { self.block.bytes_mut(0, self.block.len()) })
    }

    fn copy_within(&mut self, from: usize, len: usize, to: usize) -> Result<(), MemoryError> {
        self.device.within.fetch_add(1, Ordering::SeqCst);
        self.write((0, self.len()), move |bytes| bytes.copy_within(from..from + len, to));
        Ok(())
    }

    fn fill_zeros(&mut self, start: usize, count: usize) -> Result<(), MemoryError> {
        self.write((start, count), |bytes| bytes.fill(0));
        Ok(())
    }

    fn finish(&mut self) -> Result<(), MemoryError> {
        self.settle(None);
        if let Some(address) = self.adopted.filter(|_| self.len() > 0) {
            let bytes = self.bytes(0, self.len());
            // SAFETY: who had it adopted has given it for that, and a simulated device's memory is host memory.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), address as *mut u8, bytes.len()) };
        }
        Ok(())
    }
}
