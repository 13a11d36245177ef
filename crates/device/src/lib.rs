//! The devices of this machine, detected once, and the drivers that access their memory.
//!
//! [`Devices`] is the inventory that is passed to the config defaults, the checks and the placement of instances. With the
//! feature `cuda` it has the GPUs that the CUDA driver finds. The driver is opened at run time: nothing of NVIDIA's is needed
//! to build, and a machine without a driver has no GPUs. No other crate names CUDA's driver API.

#![warn(missing_docs)]

#[cfg(feature = "cuda")]
mod cuda;
mod driver;
mod inventory;
mod settings;
mod stream;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod usage;

pub use driver::{Driver, ExportedMemory};
pub use inventory::{Device, DeviceKind, Devices};
pub use settings::GpuSettings;
pub use stream::{DeviceError, Graph, Mark, Stream, capture_turn};
pub use usage::{DeviceUse, Figures, PinnedUse, Transfers};
