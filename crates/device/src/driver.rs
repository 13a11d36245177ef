//! The trait that a device driver implements.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use hippocamp_tensor::{Allocator, PlacedBufferMut, PlacedSlice};

use crate::{Device, DeviceError, DeviceUse, Figures, PinnedUse, Stream};

/// A driver for the devices of one vendor: lists them and allocates buffers in their memory. The buffers are copied through
/// the traits of [`hippocamp_tensor`]; the driver recognises its own buffers by their type.
pub trait Driver: Send + Sync + Debug {
    /// The devices that the driver found.
    fn devices(&self) -> Vec<Device>;

    /// The allocator for the memory of the device with this id; `None` if the driver has no such device. A thread that works
    /// with a [`Stream`] takes the [`Stream::allocator`] instead.
    fn memory(&self, id: i32) -> Option<Arc<dyn Allocator>>;

    /// The allocator for pinned host memory; `None` if the driver has none. If the pool of pinned memory is exhausted, it
    /// hands out ordinary host memory, whose [`place`](hippocamp_tensor::PlacedBuffer::place) says so.
    fn pinned(&self) -> Option<Arc<dyn Allocator>>;

    /// A new stream on the device with this id.
    ///
    /// # Errors
    /// If the device reports an error, or the driver has no such device or no streams.
    fn stream(&self, id: i32) -> Result<Arc<dyn Stream>, DeviceError> {
        Err(DeviceError::Unsupported { device: id, operation: "create a stream" })
    }

    /// The address of the first byte of `slice`, if it is memory of this driver: the device's address for device memory, as
    /// kernels take it, and the host's for pinned memory. The slice is a borrow, but kernels access the memory later: see
    /// [`Stream`] for their order.
    fn address(&self, slice: PlacedSlice<'_>) -> Option<u64> {
        let _ = slice;
        None
    }

    /// Opens memory of the device with this id that another process has exported by the handle. The memory stays mapped while
    /// the returned object lives.
    ///
    /// # Errors
    /// If the handle is invalid, or the memory is on another device.
    fn open_exported(&self, id: i32, handle: &[u8]) -> Result<Arc<dyn ExportedMemory>, DeviceError> {
        let _ = handle;
        Err(DeviceError::Unsupported { device: id, operation: "open the memory of another process" })
    }

    /// Allocates `size` bytes of the device with this id that another process may open, by the handle that is returned with them.
    ///
    /// # Errors
    /// If there is no memory, or the driver has no such device or cannot export memory.
    fn export(&self, id: i32, size: usize) -> Result<(Box<dyn PlacedBufferMut>, Vec<u8>), DeviceError> {
        let _ = size;
        Err(DeviceError::Unsupported { device: id, operation: "export memory" })
    }

    /// Why the device with this id can no longer be used by this process, if that is so. This is a look at what earlier
    /// operations met, not a test of the device.
    fn lost(&self, id: i32) -> Option<Box<str>> {
        let _ = id;
        None
    }

    /// The used and the total memory of the device with this id in bytes, with what other processes use.
    ///
    /// # Errors
    /// If the device reports an error, or the driver has no such device.
    fn used_memory(&self, id: i32) -> Result<(u64, u64), DeviceError> {
        Err(DeviceError::Unsupported { device: id, operation: "tell the used memory" })
    }

    /// What the vendor's management library tells of the device with this id; `None` if there is no such device or library.
    /// This asks the device, which may take some milliseconds.
    fn figures(&self, id: i32) -> Option<Figures> {
        let _ = id;
        None
    }

    /// What this process does with the device with this id; `None` if the driver has no such device or does not count.
    fn device_use(&self, id: i32) -> Option<DeviceUse> {
        let _ = id;
        None
    }

    /// The use of the pool of pinned memory; `None` if there is none.
    fn pinned_use(&self) -> Option<PinnedUse> {
        None
    }
}

/// Memory of a device that belongs to another process, mapped into this one.
pub trait ExportedMemory: Send + Sync + Debug {
    /// The size in bytes, from the address that was exported to the end of the allocation.
    fn len(&self) -> usize;

    /// Whether the size is 0.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A buffer of `len` bytes from `start` on. It keeps the mapping, and `owner`, until nothing uses it any more. The owner's
    /// writes to the memory are not ordered with the buffer's copies: the processes agree on who accesses it when.
    ///
    /// # Panics
    /// If the range is outside of the memory.
    fn part(
        self: Arc<Self>,
        start: usize,
        len: usize,
        owner: Box<dyn Any + Send + Sync>,
    ) -> Box<dyn PlacedBufferMut>;
}
