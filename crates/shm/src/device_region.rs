//! A registered region in the memory of a device.

use std::sync::Arc;

use hippocamp_backend::{Error, Result};
use hippocamp_device::{DeviceError, Devices, ExportedMemory};

use crate::region::refused;

/// Memory of a device that a client has exported, opened by its handle.
#[derive(Debug)]
pub(crate) struct DeviceRegion {
    pub(crate) name: Box<str>,
    /// The id of the device.
    pub(crate) device: i32,
    pub(crate) byte_size: usize,
    pub(crate) memory: Arc<dyn ExportedMemory>,
}

impl DeviceRegion {
    /// Opens the first `byte_size` bytes of the memory that has this handle.
    pub(crate) fn open(
        devices: &Devices,
        name: &str,
        handle: &[u8],
        device: u64,
        byte_size: u64,
    ) -> Result<DeviceRegion> {
        if devices.gpus().next().is_none() {
            return Err(Error::invalid_arg(INVALID));
        }
        let id = i32::try_from(device).ok().filter(|id| devices.gpu(*id).is_some());
        let Some(id) = id else {
            let there: Vec<String> = devices.gpu_ids().iter().map(ToString::to_string).collect();
            return Err(invalid(&format!("there is no GPU {device}, only {}", there.join(", "))));
        };
        let memory = devices.open_exported(id, handle).map_err(|error| match error {
            DeviceError::Lost { .. } => Error::unavailable(error.to_string()),
            error => invalid(&error.to_string()),
        })?;
        let there = memory.len();
        let Some(size) = usize::try_from(byte_size).ok().filter(|size| *size <= there) else {
            return Err(refused(name, &format!("invalid args: it has {there} bytes, not {byte_size}")));
        };
        if size == 0 {
            return Err(refused(name, "it has no bytes"));
        }
        Ok(DeviceRegion { name: name.into(), device: id, byte_size: size, memory })
    }
}

/// What Triton says of every handle that cannot be opened.
const INVALID: &str = "failed to register shared memory region: invalid args";

#[cold]
fn invalid(why: &str) -> Error {
    Error::invalid_arg(format!("{INVALID}: {why}"))
}
