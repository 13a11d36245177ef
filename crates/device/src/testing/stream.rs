//! A stream of a simulated device: everything is complete when its call returns.

use std::any::Any;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::slice;
use std::sync::Arc;

use hippocamp_tensor::{Allocator, PlacedBufferMut, PlacedSlice};

use super::{TestAllocator, TestDevice};
use crate::{DeviceError, Graph, Stream};

/// A stream of a simulated device. Work on it is executed by whoever queues it.
#[derive(Debug)]
pub struct TestStream {
    pub(super) id: i32,
    pub(super) device: Arc<TestDevice>,
}

impl Stream for TestStream {
    fn device(&self) -> i32 {
        self.id
    }

    fn raw(&self) -> *mut c_void {
        null_mut()
    }

    fn allocator(self: Arc<Self>) -> Arc<dyn Allocator> {
        Arc::new(TestAllocator(Arc::clone(&self.device)))
    }

    /// Copies the memory, without counting a transfer, and drops the owner.
    unsafe fn adopt(
        self: Arc<Self>,
        address: u64,
        len: usize,
        owner: Box<dyn Any + Send + Sync>,
    ) -> Result<Box<dyn PlacedBufferMut>, DeviceError> {
        let out_of_memory = DeviceError::OutOfMemory { device: self.id, size: len };
        let mut memory = self.device.allocate(len).map_err(|_| out_of_memory)?;
        if len > 0 {
            // SAFETY: the caller's memory is valid, and a simulated device's is host memory.
            memory.bytes.copy_from_slice(unsafe { slice::from_raw_parts(address as *const u8, len) });
        }
        drop(owner);
        Ok(Box::new(memory))
    }

    fn wait_for(&self, _slice: PlacedSlice<'_>) -> Result<(), DeviceError> {
        Ok(())
    }

    fn used(&self, _slice: PlacedSlice<'_>) -> Result<(), DeviceError> {
        Ok(())
    }

    fn synchronize(&self) -> Result<(), DeviceError> {
        match self.device.lost.lock().as_deref() {
            Ok(Some(reason)) => Err(DeviceError::Lost { device: self.id, reason: reason.clone() }),
            _ => Ok(()),
        }
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
