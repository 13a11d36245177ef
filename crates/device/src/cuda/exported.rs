//! Memory of a GPU that one process exports and another opens.

use std::any::Any;
use std::ffi::c_char;
use std::sync::Arc;

use cudarc::driver::sys::{CUipcMem_flags_enum, CUipcMemHandle, CUpointer_attribute_enum};
use hippocamp_tensor::PlacedBufferMut;

use super::gpu::Gpu;
use super::memory::{DeviceMemory, Owner};
use super::stream::CudaStream;
use crate::{DeviceError, ExportedMemory};

/// The size of a handle in bytes.
pub(super) const HANDLE_SIZE: usize = 64;

/// Allocates memory for this process and others, and its handle for those.
pub(super) fn export(
    stream: &Arc<CudaStream>,
    size: usize,
) -> Result<(Box<dyn PlacedBufferMut>, Vec<u8>), DeviceError> {
    let memory = stream.allocate_alone(size)?;
    let gpu = &stream.gpu;
    let (_, _entered) = gpu.enter()?;
    let mut handle = CUipcMemHandle { reserved: [0; HANDLE_SIZE] };
    // SAFETY: writes the handle; the memory is one allocation of the driver.
    let status = unsafe { (gpu.functions.export)(&raw mut handle, memory.address(0)) };
    gpu.check("export memory", status)?;
    let handle = handle.reserved.iter().map(|byte| *byte as u8).collect();
    Ok((Box::new(memory), handle))
}

/// Memory of another process. It is unmapped when dropped.
#[derive(Debug)]
pub(super) struct Exported {
    stream: Arc<CudaStream>,
    address: u64,
    len: usize,
}

impl Exported {
    /// Opens the memory of a handle.
    pub(super) fn open(stream: &Arc<CudaStream>, handle: &[u8]) -> Result<Exported, DeviceError> {
        let gpu = &stream.gpu;
        let operation = "open the memory of another process";
        let failed =
            |reason: String| DeviceError::Failed { device: gpu.id(), operation, reason: reason.into() };
        if handle.len() != HANDLE_SIZE {
            return Err(failed(format!("a handle has {HANDLE_SIZE} bytes, got {}", handle.len())));
        }
        let mut raw = CUipcMemHandle { reserved: [0; HANDLE_SIZE] };
        for (to, from) in raw.reserved.iter_mut().zip(handle) {
            *to = from.cast_signed() as c_char;
        }
        let (_, _entered) = gpu.enter()?;
        let flags = CUipcMem_flags_enum::CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS as u32;
        let mut address = 0;
        // SAFETY: writes the address. The driver checks the handle.
        gpu.check(operation, unsafe { (gpu.functions.open_exported)(&raw mut address, raw, flags) })?;
        let mut exported = Exported { stream: Arc::clone(stream), address, len: 0 };
        let device = exported.device(gpu);
        if let Some(device) = device.filter(|device| *device != gpu.device) {
            return Err(failed(format!("the memory is on device {device}")));
        }
        exported.len = exported.room(gpu)?;
        Ok(exported)
    }

    /// The device of the memory, as the driver numbers them.
    fn device(&self, gpu: &Gpu) -> Option<i32> {
        let mut device = -1;
        let attribute = CUpointer_attribute_enum::CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL as i32;
        // SAFETY: this attribute is an integer.
        let status =
            unsafe { (gpu.functions.pointer_attribute)((&raw mut device).cast(), attribute, self.address) };
        (status == super::status::SUCCESS).then_some(device)
    }

    /// The number of bytes from the address on.
    fn room(&self, gpu: &Gpu) -> Result<usize, DeviceError> {
        let (mut base, mut size) = (0, 0);
        // SAFETY: writes two integers.
        let status = unsafe { (gpu.functions.address_range)(&raw mut base, &raw mut size, self.address) };
        gpu.check("tell the size of memory", status)?;
        Ok(size.saturating_sub((self.address - base) as usize))
    }
}

impl ExportedMemory for Exported {
    fn len(&self) -> usize {
        self.len
    }

    fn part(
        self: Arc<Self>,
        start: usize,
        len: usize,
        owner: Box<dyn Any + Send + Sync>,
    ) -> Box<dyn PlacedBufferMut> {
        let end = start.checked_add(len);
        assert!(
            end.is_some_and(|end| end <= self.len),
            "{len} bytes from {start} on are no part of {}",
            self.len
        );
        let (stream, address) = (Arc::clone(&self.stream), self.address + start as u64);
        // The mapping ends before whoever waits for its end is told.
        let owner: Box<dyn Any + Send + Sync> = Box::new((self, owner));
        Box::new(DeviceMemory::new(stream, address, len, Owner::Other { _owner: owner }))
    }
}

impl Drop for Exported {
    fn drop(&mut self) {
        let gpu = &self.stream.gpu;
        if let Ok((_, _entered)) = gpu.enter() {
            // SAFETY: opened by `open`, and no buffer is left.
            let closed = unsafe { (gpu.functions.close_exported)(self.address) };
            if let Err(error) = gpu.check("close the memory of another process", closed) {
                tracing::warn!("{error}");
            }
        }
    }
}
