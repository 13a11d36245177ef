//! The trait that a device driver implements.

use std::fmt::Debug;
use std::sync::Arc;

use hippocamp_tensor::Allocator;

use crate::Device;

/// A driver for the devices of one vendor: lists them and allocates buffers in their memory. The buffers are copied through
/// the traits of [`hippocamp_tensor`]; the driver recognises its own buffers by their type.
pub trait Driver: Send + Sync + Debug {
    /// The devices that the driver found.
    fn devices(&self) -> Vec<Device>;

    /// The allocator for the memory of the device with this id; `None` if the driver has no such device.
    fn memory(&self, id: i32) -> Option<Arc<dyn Allocator>>;

    /// The allocator for pinned host memory; `None` if the driver has none.
    fn pinned(&self) -> Option<Arc<dyn Allocator>>;
}
