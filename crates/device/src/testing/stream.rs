//! A stream of a simulated device: its work is executed when it is waited for, and no earlier.

use std::any::Any;
use std::ffi::c_void;
use std::slice;
use std::sync::Arc;

use hippocamp_tensor::{Allocator, PlacedBufferMut, PlacedSlice};

use super::queue::{Queue, RawStream};
use super::{TestAllocator, TestDevice, TestMemory};
use crate::{DeviceError, Graph, Mark, Stream};

/// A stream of a simulated device. What is put on it is executed by whoever waits for it: a test sees wrong content where a
/// wait is missing, which a stream that executes at once would hide.
#[derive(Debug)]
pub struct TestStream {
    id: i32,
    device: Arc<TestDevice>,
    queue: Arc<Queue>,
    raw: Box<RawStream>,
}

impl TestStream {
    pub(super) fn new(id: i32, device: &Arc<TestDevice>) -> TestStream {
        let queue = Arc::default();
        let raw = Box::new(RawStream::new(&queue));
        TestStream { id, device: Arc::clone(device), queue, raw }
    }

    fn memory<'a>(slice: &PlacedSlice<'a>) -> Option<&'a TestMemory> {
        let PlacedSlice::Placed { buffer, .. } = *slice else { return None };
        let any: &dyn Any = buffer;
        any.downcast_ref()
    }
}

impl Stream for TestStream {
    fn device(&self) -> i32 {
        self.id
    }

    /// The address of a [`RawStream`].
    fn raw(&self) -> *mut c_void {
        std::ptr::from_ref(&*self.raw).cast_mut().cast()
    }

    fn allocator(self: Arc<Self>) -> Arc<dyn Allocator> {
        Arc::new(TestAllocator { device: Arc::clone(&self.device), stream: Some(self) })
    }

    /// Copies the memory in the order of the stream, without counting a transfer, and drops the owner. What is written to it is
    /// copied back when it is finished.
    unsafe fn adopt(
        self: Arc<Self>,
        address: u64,
        len: usize,
        owner: Box<dyn Any + Send + Sync>,
    ) -> Result<Box<dyn PlacedBufferMut>, DeviceError> {
        let out_of_memory = DeviceError::OutOfMemory { device: self.id, size: len };
        let memory = self.device.allocate_on(len, Some(&self.queue));
        let mut memory = memory.map_err(|_| out_of_memory)?;
        memory.write((0, len), move |bytes| {
            if len > 0 {
                // SAFETY: the caller's memory is valid until its owner is dropped, and a simulated device's is host memory.
                bytes.copy_from_slice(unsafe { slice::from_raw_parts(address as *const u8, len) });
            }
            drop(owner);
        });
        memory.adopted = Some(address);
        Ok(Box::new(memory))
    }

    fn wait_for(&self, slice: PlacedSlice<'_>) -> Result<(), DeviceError> {
        if let Some(memory) = TestStream::memory(&slice) {
            memory.settle(Some(&self.queue));
        }
        Ok(())
    }

    fn used(&self, slice: PlacedSlice<'_>) -> Result<(), DeviceError> {
        if let Some(memory) = TestStream::memory(&slice) {
            memory.after(&self.queue, self.queue.end());
        }
        Ok(())
    }

    fn mark(&self) -> Result<Box<dyn Mark>, DeviceError> {
        let (id, device, queue) = (self.id, Arc::clone(&self.device), Arc::clone(&self.queue));
        Ok(Box::new(TestMark { id, device, end: queue.end(), queue }))
    }

    fn synchronize(&self) -> Result<(), DeviceError> {
        self.mark()?.wait()
    }

    fn make_current(&self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn capture(
        &self,
        _work: &mut dyn FnMut() -> Result<(), DeviceError>,
    ) -> Result<Box<dyn Graph>, DeviceError> {
        Err(DeviceError::Unsupported { device: self.id, operation: "capture a graph" })
    }
}

/// A point in the work of a simulated stream.
#[derive(Debug)]
struct TestMark {
    id: i32,
    device: Arc<TestDevice>,
    queue: Arc<Queue>,
    end: u64,
}

impl Mark for TestMark {
    fn wait(&self) -> Result<(), DeviceError> {
        self.queue.run_until(self.end);
        match self.device.lost.lock().as_deref() {
            Ok(Some(reason)) => Err(DeviceError::Lost { device: self.id, reason: reason.clone() }),
            _ => Ok(()),
        }
    }
}

impl Drop for TestStream {
    /// The work of a stream that ends is still done.
    fn drop(&mut self) {
        self.queue.run();
    }
}

impl TestStream {
    pub(super) fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }
}
