//! A driver for tests. The memory of its devices is host memory, and every copy is counted.

#![allow(unsafe_code, reason = "implements a trait that promises to fill memory that was not written before")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hippocamp_tensor::{Allocator, MemoryError, Place, PlacedBufferMut, PlacedSlice};

use crate::{Device, DeviceError, DeviceKind, DeviceUse, Driver, ExportedMemory, Figures, Stream};

mod exported;
mod memory;
mod queue;
mod stream;

pub use exported::TestExport;
use exported::TestPart;
pub use memory::TestMemory;
use queue::Queue;
pub use queue::RawStream;
pub use stream::TestStream;

/// The numbers of copies by source and target. Empty copies count too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transfers {
    /// Copies from host memory to a device.
    pub from_host: usize,
    /// Copies from a device to host memory.
    pub to_host: usize,
    /// Copies within the memory of a device.
    pub within: usize,
    /// Copies from one device to another.
    pub between: usize,
}

/// A driver of simulated devices.
#[derive(Debug)]
pub struct TestDriver {
    devices: Vec<Arc<TestDevice>>,
    pinned: Arc<TestDevice>,
    exports: Mutex<Vec<TestExport>>,
}

/// A simulated device, or the pinned host memory: has a memory limit, and counts allocations and transfers.
#[derive(Debug)]
pub struct TestDevice {
    place: Place,
    limit: AtomicUsize,
    allocated: AtomicUsize,
    allocations: AtomicUsize,
    from_host: AtomicUsize,
    to_host: AtomicUsize,
    within: AtomicUsize,
    between: AtomicUsize,
    lost: Mutex<Option<Box<str>>>,
}

impl TestDriver {
    /// A driver of `count` devices with `limit` bytes of memory each.
    pub fn new(count: i32, limit: usize) -> Arc<TestDriver> {
        let devices = (0..count).map(|id| TestDevice::new(Place::Device(id), limit)).collect();
        Arc::new(TestDriver {
            devices,
            pinned: TestDevice::new(Place::Pinned, limit),
            exports: Mutex::default(),
        })
    }

    /// The pinned host memory.
    pub fn pinned_memory(&self) -> &Arc<TestDevice> {
        &self.pinned
    }

    /// Memory of a device that contains `bytes` and that a client has exported, and its handle of 64 bytes.
    pub fn export(&self, id: i32, bytes: &[u8]) -> (TestExport, [u8; 64]) {
        self.exported(self.device(id), bytes.to_vec())
    }

    fn exported(&self, device: &Arc<TestDevice>, bytes: Vec<u8>) -> (TestExport, [u8; 64]) {
        let export = TestExport { device: Arc::clone(device), bytes: Arc::new(Mutex::new(bytes)) };
        let mut exports = self.exports.lock().unwrap_or_else(PoisonError::into_inner);
        exports.push(export.clone());
        let mut handle = [0; 64];
        handle[..8].copy_from_slice(&(exports.len() as u64).to_le_bytes());
        (export, handle)
    }

    /// The device with this id.
    ///
    /// # Panics
    /// If there is no such device.
    pub fn device(&self, id: i32) -> &Arc<TestDevice> {
        let device = self.devices.iter().find(|device| device.place == Place::Device(id));
        device.unwrap_or_else(|| panic!("the test driver has no device {id}"))
    }
}

impl Driver for TestDriver {
    fn devices(&self) -> Vec<Device> {
        let ids = self.devices.iter().zip(0..);
        ids.map(|(device, id)| Device {
            kind: DeviceKind::Gpu,
            id,
            name: "test device".to_owned(),
            uuid: format!("GPU-test-{id}"),
            bus_id: String::new(),
            memory: device.limit.load(Ordering::Relaxed) as u64,
            compute_capability: (9, 0),
        })
        .collect()
    }

    fn memory(&self, id: i32) -> Option<Arc<dyn Allocator>> {
        let device = self.devices.iter().find(|device| device.place == Place::Device(id))?;
        Some(Arc::new(TestAllocator { device: Arc::clone(device), stream: None }))
    }

    fn pinned(&self) -> Option<Arc<dyn Allocator>> {
        Some(Arc::new(TestAllocator { device: Arc::clone(&self.pinned), stream: None }))
    }

    fn stream(&self, id: i32) -> Result<Arc<dyn Stream>, DeviceError> {
        let device = self.devices.iter().find(|device| device.place == Place::Device(id));
        let device = device.ok_or(DeviceError::Unsupported { device: id, operation: "create a stream" })?;
        Ok(Arc::new(TestStream::new(id, device)))
    }

    fn address(&self, slice: PlacedSlice<'_>) -> Option<u64> {
        TestMemory::start(slice).or_else(|| TestPart::address(slice))
    }

    fn open_exported(&self, id: i32, handle: &[u8]) -> Result<Arc<dyn ExportedMemory>, DeviceError> {
        let operation = "open the memory of another process";
        if !self.devices.iter().any(|device| device.place == Place::Device(id)) {
            return Err(DeviceError::Unsupported { device: id, operation });
        }
        let failed = |reason: &str| DeviceError::Failed { device: id, operation, reason: reason.into() };
        let exports = self.exports.lock().unwrap_or_else(PoisonError::into_inner);
        let number = handle.first_chunk().map_or(0, |number| u64::from_le_bytes(*number)) as usize;
        let export = number.checked_sub(1).and_then(|at| exports.get(at));
        let export = export.ok_or_else(|| failed("invalid argument"))?;
        if export.device.place != Place::Device(id) {
            return Err(failed("the memory is on another device"));
        }
        Ok(Arc::new(export.clone()))
    }

    fn export(&self, id: i32, size: usize) -> Result<(Box<dyn PlacedBufferMut>, Vec<u8>), DeviceError> {
        let device = self.devices.iter().find(|device| device.place == Place::Device(id));
        let device = device.ok_or(DeviceError::Unsupported { device: id, operation: "export memory" })?;
        let (export, handle) = self.exported(device, vec![0xA5; size]);
        Ok((Arc::new(export).part(0, size, Box::new(())), handle.to_vec()))
    }

    fn used_memory(&self, id: i32) -> Result<(u64, u64), DeviceError> {
        let device = self.devices.iter().find(|device| device.place == Place::Device(id));
        let device =
            device.ok_or(DeviceError::Unsupported { device: id, operation: "tell the used memory" })?;
        Ok((device.allocated() as u64, device.limit.load(Ordering::SeqCst) as u64))
    }

    /// Of its memory alone.
    fn figures(&self, id: i32) -> Option<Figures> {
        let (used, total) = self.used_memory(id).ok()?;
        Some(Figures { memory_used: Some(used), memory_total: Some(total), ..Figures::default() })
    }

    /// The numbers of copies, without their bytes.
    fn device_use(&self, id: i32) -> Option<DeviceUse> {
        let device = self.devices.iter().find(|device| device.place == Place::Device(id))?;
        let of = |copies: usize| crate::Transfers { copies: copies as u64, bytes: 0 };
        let Transfers { from_host, to_host, within, between } = device.transfers();
        Some(DeviceUse {
            from_host: of(from_host),
            to_host: of(to_host),
            within: of(within),
            between: of(between),
            ..DeviceUse::default()
        })
    }

    fn lost(&self, id: i32) -> Option<Box<str>> {
        let device = self.devices.iter().find(|device| device.place == Place::Device(id))?;
        device.lost.lock().ok()?.clone()
    }
}

impl TestDevice {
    fn new(place: Place, limit: usize) -> Arc<TestDevice> {
        Arc::new(TestDevice {
            place,
            limit: limit.into(),
            allocated: 0.into(),
            allocations: 0.into(),
            from_host: 0.into(),
            to_host: 0.into(),
            within: 0.into(),
            between: 0.into(),
            lost: Mutex::default(),
        })
    }

    /// The numbers of copies to this device, within it and from it to the host. A copy between devices counts for the
    /// target.
    pub fn transfers(&self) -> Transfers {
        Transfers {
            from_host: self.from_host.load(Ordering::SeqCst),
            to_host: self.to_host.load(Ordering::SeqCst),
            within: self.within.load(Ordering::SeqCst),
            between: self.between.load(Ordering::SeqCst),
        }
    }

    /// The number of bytes that are allocated now.
    pub fn allocated(&self) -> usize {
        self.allocated.load(Ordering::SeqCst)
    }

    /// The number of allocations so far.
    pub fn allocations(&self) -> usize {
        self.allocations.load(Ordering::SeqCst)
    }

    /// Sets the limit of allocated bytes. Existing allocations stay.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::SeqCst);
    }

    /// Has the device fall off the bus, for the reason given. Its memory stays readable.
    pub fn lose(&self, reason: &str) {
        if let Ok(mut lost) = self.lost.lock() {
            *lost = Some(reason.into());
        }
    }

    /// Allocates memory of this device.
    ///
    /// # Errors
    /// If the limit would be exceeded, or the device is lost.
    pub fn allocate(self: &Arc<Self>, size: usize) -> Result<TestMemory, MemoryError> {
        self.allocate_on(size, None)
    }

    /// Allocates memory that belongs to a stream, if there is one.
    fn allocate_on(
        self: &Arc<Self>,
        size: usize,
        queue: Option<&Arc<Queue>>,
    ) -> Result<TestMemory, MemoryError> {
        if let (Place::Device(device), Ok(Some(reason))) = (self.place, self.lost.lock().as_deref()) {
            return Err(MemoryError::Lost { device, reason: reason.clone() });
        }
        let limit = self.limit.load(Ordering::SeqCst);
        let fits = |allocated: usize| allocated.checked_add(size).filter(|sum| *sum <= limit);
        if self.allocated.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits).is_err() {
            return Err(MemoryError::OutOfMemory { place: self.place, size });
        }
        self.allocations.fetch_add(1, Ordering::SeqCst);
        Ok(TestMemory::new(Arc::clone(self), size, queue))
    }

    /// Allocates memory of this device that contains `bytes`, as if a kernel had written it: no transfer is counted.
    ///
    /// # Errors
    /// If the limit would be exceeded.
    pub fn allocate_with(self: &Arc<Self>, bytes: &[u8]) -> Result<TestMemory, MemoryError> {
        let mut memory = self.allocate(bytes.len())?;
        memory.write_by_kernel(0, bytes);
        Ok(memory)
    }

    fn give_back(&self, size: usize) {
        self.allocated.fetch_sub(size, Ordering::SeqCst);
    }
}

/// The allocator of one device, or of one of its streams.
#[derive(Debug)]
struct TestAllocator {
    device: Arc<TestDevice>,
    stream: Option<Arc<TestStream>>,
}

impl Allocator for TestAllocator {
    fn place(&self) -> Place {
        self.device.place
    }

    fn allocate(&self, size: usize) -> Result<Box<dyn PlacedBufferMut>, MemoryError> {
        let queue = self.stream.as_ref().map(|stream| stream.queue());
        Ok(Box::new(self.device.allocate_on(size, queue)?))
    }
}

#[cfg(test)]
mod tests;
