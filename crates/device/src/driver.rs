//! What reaches devices.

use std::fmt::Debug;
use std::sync::Arc;

use hippocamp_tensor::Allocator;

use crate::Device;

/// Reaches the devices of one maker: lists them and makes buffers in their memory. Such a buffer is copied from and to by
/// the traits of [`hippocamp_tensor`]; the driver finds its own buffers among others by their type.
pub trait Driver: Send + Sync + Debug {
    /// The devices that it reaches.
    fn devices(&self) -> Vec<Device>;

    /// What makes buffers in the memory of the device with this id; `None` if it has no such device.
    fn memory(&self, id: i32) -> Option<Arc<dyn Allocator>>;

    /// What makes buffers of pinned host memory; `None` if it has no such memory.
    fn pinned(&self) -> Option<Arc<dyn Allocator>>;
}
