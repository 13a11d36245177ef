//! The inventory of the devices of this machine.

use std::fmt;
use std::sync::Arc;

use hippocamp_tensor::{Allocator, Place, PlacedBufferMut, PlacedSlice};

use crate::{DeviceError, DeviceUse, Driver, ExportedMemory, Figures, GpuSettings, PinnedUse, Stream};

/// The kind of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// A GPU that supports CUDA.
    Gpu,
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeviceKind::Gpu => "GPU",
        })
    }
}

/// A device of this machine with its own memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The kind of the device.
    pub kind: DeviceKind,
    /// The number of the device as model configs use it; the first is 0.
    pub id: i32,
    /// The product name.
    pub name: String,
    /// The unique identifier for metric labels, such as `GPU-…`; empty if the driver reports none.
    pub uuid: String,
    /// The address on the PCI bus, such as `0000:3B:00.0`; empty if the driver reports none.
    pub bus_id: String,
    /// The size of its memory in bytes.
    pub memory: u64,
    /// The major and minor compute capability.
    pub compute_capability: (u32, u32),
}

/// The devices of this machine. They are detected once, before any model is loaded, and do not change. A clone shares the
/// inventory.
#[derive(Clone, Debug, Default)]
pub struct Devices(Arc<Inventory>);

#[derive(Debug, Default)]
struct Inventory {
    devices: Vec<Device>,
    driver: Option<Arc<dyn Driver>>,
}

impl Devices {
    /// The inventory of a machine without devices, where everything runs on the CPU.
    pub fn none() -> Devices {
        Devices::default()
    }

    /// Detects the devices of this machine, with a line in the log for each. A device costs neither time nor memory before
    /// its first use.
    pub fn find(settings: &GpuSettings) -> Devices {
        #[cfg(feature = "cuda")]
        if let Some(driver) = crate::cuda::find(settings) {
            return Devices::of(driver);
        }
        let _ = settings;
        Devices::none()
    }

    /// The inventory of the devices that `driver` found.
    pub fn of(driver: Arc<dyn Driver>) -> Devices {
        Devices::new(driver.devices(), Some(driver))
    }

    fn new(mut devices: Vec<Device>, driver: Option<Arc<dyn Driver>>) -> Devices {
        devices.sort_by_key(|device| device.id);
        Devices(Arc::new(Inventory { devices, driver }))
    }

    /// All devices, in the order of their ids.
    pub fn all(&self) -> &[Device] {
        &self.0.devices
    }

    /// The GPUs.
    pub fn gpus(&self) -> impl Iterator<Item = &Device> {
        self.all().iter().filter(|device| device.kind == DeviceKind::Gpu)
    }

    /// The ids of the GPUs, as model configs write them.
    pub fn gpu_ids(&self) -> Vec<i32> {
        self.gpus().map(|gpu| gpu.id).collect()
    }

    /// The GPU with this id, if there is one.
    pub fn gpu(&self, id: i32) -> Option<&Device> {
        self.gpus().find(|gpu| gpu.id == id)
    }

    /// The allocator for a place; `None` for ordinary host memory, which needs none, and for places that no driver has.
    pub fn memory(&self, place: Place) -> Option<Arc<dyn Allocator>> {
        let driver = self.0.driver.as_ref()?;
        match place {
            Place::Host => None,
            Place::Pinned => driver.pinned(),
            Place::Device(id) => driver.memory(id),
        }
    }

    /// A new stream on the device with this id.
    ///
    /// # Errors
    /// If the device reports an error, or there is no such device.
    pub fn stream(&self, id: i32) -> Result<Arc<dyn Stream>, DeviceError> {
        self.driver(id, "create a stream")?.stream(id)
    }

    /// The address of the first byte of `slice`: of host memory as the host sees it, pinned memory included, and of device
    /// memory as kernels take it. `None` for memory that cannot be addressed, such as a region of a client.
    pub fn address(&self, slice: PlacedSlice<'_>) -> Option<u64> {
        match slice.as_host() {
            Some(bytes) => Some(bytes.as_ptr() as u64),
            None => self.0.driver.as_ref()?.address(slice),
        }
    }

    /// Opens memory of the device with this id that another process has exported by the handle.
    ///
    /// # Errors
    /// If there is no such device, the handle is invalid, or the memory is on another device.
    pub fn open_exported(&self, id: i32, handle: &[u8]) -> Result<Arc<dyn ExportedMemory>, DeviceError> {
        self.driver(id, "open the memory of another process")?.open_exported(id, handle)
    }

    /// Allocates `size` bytes of the device with this id that another process may open, by the handle that is returned with them.
    ///
    /// # Errors
    /// If there is no memory, or no such device.
    pub fn export(&self, id: i32, size: usize) -> Result<(Box<dyn PlacedBufferMut>, Vec<u8>), DeviceError> {
        self.driver(id, "export memory")?.export(id, size)
    }

    /// Why the device with this id can no longer be used, if an operation has met that. Cheap enough for every request.
    pub fn lost(&self, id: i32) -> Option<Box<str>> {
        self.0.driver.as_ref()?.lost(id)
    }

    /// The used and the total memory of the device with this id in bytes, with what other processes use.
    ///
    /// # Errors
    /// If the device reports an error, or there is no such device.
    pub fn used_memory(&self, id: i32) -> Result<(u64, u64), DeviceError> {
        self.driver(id, "tell the used memory")?.used_memory(id)
    }

    /// What the vendor's management library tells of the device with this id; `None` if there is no such device or library.
    /// This asks the device, which may take some milliseconds.
    pub fn figures(&self, id: i32) -> Option<Figures> {
        self.0.driver.as_ref()?.figures(id)
    }

    /// What this process does with the device with this id; `None` if there is no such device, or its driver does not count.
    pub fn device_use(&self, id: i32) -> Option<DeviceUse> {
        self.0.driver.as_ref()?.device_use(id)
    }

    /// The use of the pool of pinned memory; `None` if there is none.
    pub fn pinned_use(&self) -> Option<PinnedUse> {
        self.0.driver.as_ref()?.pinned_use()
    }

    fn driver(&self, id: i32, operation: &'static str) -> Result<&Arc<dyn Driver>, DeviceError> {
        self.0.driver.as_ref().ok_or(DeviceError::Unsupported { device: id, operation })
    }
}

impl PartialEq for Devices {
    /// Whether both list the same devices; the drivers are not compared.
    fn eq(&self, other: &Devices) -> bool {
        self.all() == other.all()
    }
}

impl Eq for Devices {}

impl FromIterator<Device> for Devices {
    /// An inventory without a driver, for code that only uses the list of devices.
    fn from_iter<I: IntoIterator<Item = Device>>(devices: I) -> Devices {
        Devices::new(devices.into_iter().collect(), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(id: i32) -> Device {
        Device {
            kind: DeviceKind::Gpu,
            id,
            name: "test".to_owned(),
            uuid: String::new(),
            bus_id: String::new(),
            memory: 1 << 30,
            compute_capability: (9, 0),
        }
    }

    #[test]
    fn gpus_are_listed_by_their_ids() {
        let devices: Devices = [gpu(1), gpu(0)].into_iter().collect();
        assert_eq!(devices.gpu_ids(), [0, 1]);
        assert_eq!(devices.gpu(1).map(|gpu| gpu.id), Some(1));
        assert_eq!(devices.gpu(2), None);
    }
}
