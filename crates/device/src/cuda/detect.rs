//! Finds the GPUs of this machine.

use std::ffi::{CStr, c_char, c_int};
use std::fmt::Write;
use std::sync::{Arc, OnceLock};

use cudarc::driver::sys::CUuuid;
use tracing::{debug, error, info, warn};

use super::driver::CudaDriver;
use super::gpu::Gpu;
use super::library::Functions;
use super::status;
use super::symbols::Absent;
use crate::{Device, DeviceKind, Driver, GpuSettings};

const CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: c_int = 75;
const CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: c_int = 76;

/// The driver, if there is one and it has a GPU that can be used. Every reason why not is a line of the log.
pub(crate) fn find(settings: &GpuSettings) -> Option<Arc<dyn Driver>> {
    let functions = functions()?;
    let gpus = gpus(functions, settings);
    let pinned = usize::try_from(settings.pinned_pool_byte_size).unwrap_or(usize::MAX);
    Some(Arc::new(CudaDriver::new(gpus, pinned)?))
}

/// The functions of the driver, once it is initialised.
fn functions() -> Option<&'static Functions> {
    static FUNCTIONS: OnceLock<Option<Functions>> = OnceLock::new();
    FUNCTIONS.get_or_init(initialised).as_ref()
}

fn initialised() -> Option<Functions> {
    let functions = match Functions::open() {
        Ok(functions) => functions,
        Err(Absent::Library(error)) => {
            debug!("no CUDA driver: {error:?}");
            return None;
        }
        Err(Absent::Symbol(symbol)) => {
            warn!(
                "the CUDA driver is too old, as it has no {symbol}: no GPU is used; CUDA 11.4 (driver 470) is needed"
            );
            return None;
        }
    };
    // SAFETY: has no requirements.
    match unsafe { (functions.init)(0) } {
        status::SUCCESS => Some(functions),
        status::NO_DEVICE => {
            info!("the CUDA driver finds no GPU");
            None
        }
        status::STUB_LIBRARY => {
            error!(
                "libcuda.so.1 is the stub of the CUDA toolkit, not a driver: no GPU is used; take the stubs out of LD_LIBRARY_PATH"
            );
            None
        }
        failed => {
            error!("the CUDA driver does not start: {}: no GPU is used", functions.describe(failed));
            None
        }
    }
}

fn gpus(functions: &'static Functions, settings: &GpuSettings) -> Vec<Arc<Gpu>> {
    let (mut version, mut count) = (0, 0);
    // SAFETY: writes an integer.
    unsafe { (functions.driver_version)(&raw mut version) };
    // SAFETY: writes an integer.
    let status = unsafe { (functions.device_count)(&raw mut count) };
    if status != status::SUCCESS {
        error!("the CUDA driver does not tell its GPUs: {}: none is used", functions.describe(status));
        return Vec::new();
    }
    let mut gpus = Vec::new();
    for id in 0..count {
        let (device, about) = match about(functions, id) {
            Ok(found) => found,
            Err(failed) => {
                error!("GPU {id} cannot be used: {}", functions.describe(failed));
                continue;
            }
        };
        let (name, (major, minor)) = (&about.name, about.compute_capability);
        let needed = settings.min_compute_capability;
        if about.compute_capability < needed {
            warn!(
                "GPU {id} ({name}) is not used: its compute capability is {major}.{minor}, and \
                 --min-supported-compute-capability is {}.{}",
                needed.0, needed.1
            );
            continue;
        }
        info!(
            "GPU {id}: {name}, {} MiB, compute capability {major}.{minor}, {}, driver for CUDA {}.{}",
            about.memory >> 20,
            about.uuid,
            version / 1000,
            version % 1000 / 10
        );
        let pool = settings.pool_byte_size(id);
        gpus.push(Arc::new(Gpu::new(functions, device, about, pool)));
    }
    gpus
}

fn about(functions: &'static Functions, id: i32) -> Result<(c_int, Device), u32> {
    let ok = |status| if status == status::SUCCESS { Ok(()) } else { Err(status) };
    let (mut device, mut memory) = (0, 0);
    let mut name: [c_char; 256] = [0; 256];
    let mut bus_id: [c_char; 32] = [0; 32];
    let mut uuid = CUuuid { bytes: [0; 16] };
    let attribute = |attribute, device| {
        let mut value = 0;
        // SAFETY: writes an integer.
        ok(unsafe { (functions.device_attribute)(&raw mut value, attribute, device) }).map(|()| value)
    };
    // SAFETY: each call writes to memory of the size that it is told.
    unsafe {
        ok((functions.device)(&raw mut device, id))?;
        ok((functions.device_name)(name.as_mut_ptr(), name.len() as c_int, device))?;
        ok((functions.device_memory)(&raw mut memory, device))?;
        ok((functions.device_uuid)(&raw mut uuid, device))?;
        ok((functions.device_bus_id)(bus_id.as_mut_ptr(), bus_id.len() as c_int, device))?;
    }
    let major = attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device)?;
    let minor = attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device)?;
    let about = Device {
        kind: DeviceKind::Gpu,
        id,
        name: text(&name),
        uuid: uuid_text(uuid.bytes.map(|byte| byte as u8)),
        bus_id: text(&bus_id),
        memory: memory as u64,
        compute_capability: (major.unsigned_abs(), minor.unsigned_abs()),
    };
    Ok((device, about))
}

/// The text in memory that the driver ended with a zero, as it was zeroed before.
fn text(written: &[c_char]) -> String {
    let bytes: Vec<u8> = written.iter().map(|&byte| byte as u8).collect();
    CStr::from_bytes_until_nul(&bytes).unwrap_or_default().to_string_lossy().into_owned()
}

/// A UUID as NVML and nvidia-smi write it.
fn uuid_text(bytes: [u8; 16]) -> String {
    let mut text = "GPU-".to_owned();
    for (at, byte) in bytes.into_iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_written_in_five_groups() {
        let bytes = std::array::from_fn(|at| at as u8 * 17);
        assert_eq!(uuid_text(bytes), "GPU-00112233-4455-6677-8899-aabbccddeeff");
    }
}
