//! The devices of this machine, found once, and the drivers that reach their memory.
//!
//! [`Devices`] is the inventory that reaches defaults, checks and placement. No GPU driver is opened today, so that
//! its list of GPUs is empty; the crate that opens one will be this one and no other.

#![warn(missing_docs)]

mod driver;
mod inventory;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use driver::Driver;
pub use inventory::{Device, DeviceKind, Devices};
