//! What NVIDIA's management library tells of a GPU: opened by the first question, without a context on the GPU.

use std::ffi::{CString, c_char, c_uint, c_ulonglong, c_void};
use std::ptr::null_mut;
use std::sync::OnceLock;

use libloading::Library;
use tracing::{debug, warn};

use super::symbols::{Absent, functions};
use crate::Figures;

/// The library as the driver's package installs it.
const NAME: &str = "libnvidia-ml.so.1";

const SUCCESS: c_uint = 0;
const GPU_IS_LOST: c_uint = 15;

/// A device, as the library names it.
type Handle = *mut c_void;

functions! {
    /// The functions that are used.
    Functions;
    init = "nvmlInit_v2": fn();
    device = "nvmlDeviceGetHandleByPciBusId_v2": fn(*const c_char, *mut Handle);
    utilization = "nvmlDeviceGetUtilizationRates": fn(Handle, *mut Utilization);
    memory = "nvmlDeviceGetMemoryInfo": fn(Handle, *mut Memory);
    power_usage = "nvmlDeviceGetPowerUsage": fn(Handle, *mut c_uint);
    power_limit = "nvmlDeviceGetEnforcedPowerLimit": fn(Handle, *mut c_uint);
    energy = "nvmlDeviceGetTotalEnergyConsumption": fn(Handle, *mut c_ulonglong);
}

/// Percentages of the last moments.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Utilization {
    gpu: c_uint,
    memory: c_uint,
}

/// Bytes of memory.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Memory {
    total: c_ulonglong,
    free: c_ulonglong,
    used: c_ulonglong,
}

/// Why there are no figures.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoFigures {
    /// There is no library, or it does not know the GPU.
    Unknown,
    /// The GPU has fallen off the bus.
    Lost,
}

/// The figures of the GPU at this address on the PCI bus. One that the GPU does not have is left out.
pub(super) fn figures(bus_id: &str) -> Result<Figures, NoFigures> {
    let functions = functions().ok_or(NoFigures::Unknown)?;
    let bus_id = CString::new(bus_id).map_err(|_| NoFigures::Unknown)?;
    let mut device = null_mut();
    // SAFETY: reads the text, writes the handle.
    told(unsafe { (functions.device)(bus_id.as_ptr(), &raw mut device) })?.ok_or(NoFigures::Unknown)?;
    let (mut utilization, mut memory) = (Utilization::default(), Memory::default());
    let (mut power_usage, mut power_limit, mut energy) = (0, 0, 0);
    // SAFETY: each call writes to a value of its type.
    let (has_utilization, has_memory, has_usage, has_limit, has_energy) = unsafe {
        (
            told((functions.utilization)(device, &raw mut utilization))?,
            told((functions.memory)(device, &raw mut memory))?,
            told((functions.power_usage)(device, &raw mut power_usage))?,
            told((functions.power_limit)(device, &raw mut power_limit))?,
            told((functions.energy)(device, &raw mut energy))?,
        )
    };
    let watts = |milliwatts: c_uint| f64::from(milliwatts) / 1e3;
    Ok(Figures {
        utilization: has_utilization.map(|()| f64::from(utilization.gpu) / 1e2),
        memory_total: has_memory.map(|()| memory.total),
        memory_used: has_memory.map(|()| memory.used),
        power_usage: has_usage.map(|()| watts(power_usage)),
        power_limit: has_limit.map(|()| watts(power_limit)),
        energy: has_energy.map(|()| energy as f64 / 1e3),
    })
}

/// Whether a status says that a value was written. A GPU need not support all of them.
fn told(status: c_uint) -> Result<Option<()>, NoFigures> {
    match status {
        SUCCESS => Ok(Some(())),
        GPU_IS_LOST => Err(NoFigures::Lost),
        _ => Ok(None),
    }
}

fn functions() -> Option<&'static Functions> {
    static FUNCTIONS: OnceLock<Option<Functions>> = OnceLock::new();
    FUNCTIONS.get_or_init(initialised).as_ref()
}

fn initialised() -> Option<Functions> {
    // SAFETY: opening the library runs its initialisers, which have no requirements.
    let functions = unsafe { Library::new(NAME) }.map_err(Absent::Library).and_then(Functions::of);
    let functions = match functions {
        Ok(functions) => functions,
        Err(Absent::Library(error)) => {
            debug!("no NVML: {error:?}");
            return None;
        }
        Err(Absent::Symbol(symbol)) => {
            warn!("{NAME} is too old, as it has no {symbol}: there are no metrics of GPUs");
            return None;
        }
    };
    // SAFETY: has no requirements.
    let status = unsafe { (functions.init)() };
    if status != SUCCESS {
        warn!("NVML does not start (code {status}): there are no metrics of GPUs");
        return None;
    }
    Some(functions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_a_gpu_does_not_have_is_left_out_and_a_lost_one_has_none() {
        assert_eq!([SUCCESS, 3, 999].map(told), [Ok(Some(())), Ok(None), Ok(None)]);
        assert_eq!(told(GPU_IS_LOST), Err(NoFigures::Lost));
    }
}
