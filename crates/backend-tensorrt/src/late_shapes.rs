//! Outputs whose shape only a run tells.

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::Arc;

use hippocamp_device::Devices;
use hippocamp_tensor::{Allocator, MemoryError, PlacedBufferMut};
use hippocamp_tensorrt_sys::{Dims, OutputMemory};
use parking_lot::Mutex;

use crate::output_buffers::whole;

/// What a run told of an output: its memory, and its shape.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) memory: Option<Box<dyn PlacedBufferMut>>,
    pub(crate) shape: Option<Vec<i64>>,
    /// Why there was no memory.
    pub(crate) fault: Option<MemoryError>,
}

/// Gives memory to an output during a run.
pub(crate) struct LateOutput {
    pub(crate) told: Arc<Mutex<Told>>,
    pub(crate) memory: Arc<dyn Allocator>,
    pub(crate) devices: Devices,
}

impl OutputMemory for LateOutput {
    fn allocate(&mut self, size: u64, _alignment: u64) -> *mut c_void {
        let mut told = self.told.lock();
        let size = usize::try_from(size).unwrap_or(usize::MAX).max(1);
        if told.memory.as_ref().is_none_or(|memory| memory.len() < size) {
            told.memory = None;
            match self.memory.allocate(size) {
                Ok(memory) => told.memory = Some(memory),
                Err(fault) => told.fault = Some(fault),
            }
        }
        let address = told.memory.as_deref().and_then(|memory| self.devices.address(whole(memory, size)));
        // Where device memory begins is a number for the library, and no memory of this process.
        address.map_or(null_mut(), |address| address as *mut c_void)
    }

    fn shape(&mut self, dims: &Dims) {
        self.told.lock().shape = dims.get().map(<[i64]>::to_vec);
    }
}
