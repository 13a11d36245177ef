//! Which devices there are.

use std::fmt;
use std::sync::Arc;

use hippocamp_tensor::{Allocator, Place};

use crate::Driver;

/// What kind of device it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// A GPU that is reached by CUDA.
    Gpu,
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeviceKind::Gpu => "GPU",
        })
    }
}

/// A device of this machine that has memory of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// What kind of device it is.
    pub kind: DeviceKind,
    /// Its number as model configs write it: the first is 0.
    pub id: i32,
    /// What its maker calls it.
    pub name: String,
    /// The identifier that metrics carry, such as `GPU-…`; empty if the driver tells none.
    pub uuid: String,
    /// Bytes of memory.
    pub memory: u64,
    /// Major and minor compute capability.
    pub compute_capability: (u32, u32),
}

/// The devices of this machine. It is found once, before anything is loaded, and does not change. A clone costs a
/// reference count.
#[derive(Clone, Debug, Default)]
pub struct Devices(Arc<Inventory>);

#[derive(Debug, Default)]
struct Inventory {
    devices: Vec<Device>,
    driver: Option<Arc<dyn Driver>>,
}

impl Devices {
    /// A machine without devices: everything runs on the CPU.
    pub fn none() -> Devices {
        Devices::default()
    }

    /// Looks for the devices of this machine. No GPU driver is opened yet, so that none is found.
    pub fn find() -> Devices {
        Devices::none()
    }

    /// The devices that a driver reaches.
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

    /// The GPU of this id.
    pub fn gpu(&self, id: i32) -> Option<&Device> {
        self.gpus().find(|gpu| gpu.id == id)
    }

    /// What makes buffers at a place: `None` for host memory, which needs none, and for what no driver reaches.
    pub fn memory(&self, place: Place) -> Option<Arc<dyn Allocator>> {
        let driver = self.0.driver.as_ref()?;
        match place {
            Place::Host => None,
            Place::Pinned => driver.pinned(),
            Place::Device(id) => driver.memory(id),
        }
    }
}

impl PartialEq for Devices {
    /// Whether both list the same devices, by whatever drivers.
    fn eq(&self, other: &Devices) -> bool {
        self.all() == other.all()
    }
}

impl Eq for Devices {}

impl FromIterator<Device> for Devices {
    /// An inventory of devices whose memory nobody reaches, for what only looks at the list.
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
        assert!(Devices::find().all().is_empty());
    }
}
