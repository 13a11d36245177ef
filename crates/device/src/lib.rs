//! The devices of this machine, detected once, and the drivers that access their memory.
//!
//! [`Devices`] is the inventory that is passed to the config defaults, the checks and the placement of instances. There is
//! no GPU driver yet, so its list of GPUs is empty. A GPU driver belongs into this crate only.

#![warn(missing_docs)]

mod driver;
mod inventory;
mod stream;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use driver::{Driver, ExportedMemory};
pub use inventory::{Device, DeviceKind, Devices};
pub use stream::{DeviceError, Graph, Stream};
