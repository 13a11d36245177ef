//! Where memory is, and the errors of allocations and transfers.

use std::error::Error;
use std::fmt;

/// Where the memory of a buffer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Place {
    /// Host memory.
    #[default]
    Host,
    /// Pinned host memory, which a device can read and write directly.
    Pinned,
    /// Memory of the device with this id.
    Device(i32),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Host => f.write_str("host memory"),
            Place::Pinned => f.write_str("pinned host memory"),
            Place::Device(id) => write!(f, "the memory of device {id}"),
        }
    }
}

/// An allocation or a copy failed. The buffers involved remain usable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemoryError {
    /// An allocation failed.
    OutOfMemory {
        /// The place of the requested memory.
        place: Place,
        /// The requested size in bytes.
        size: usize,
    },
    /// A copy between two places failed.
    Transfer {
        /// The place of the source.
        from: Place,
        /// The place of the target.
        to: Place,
        /// The number of bytes to copy.
        size: usize,
        /// The driver's error message.
        reason: Box<str>,
    },
    /// A device failed at something other than a copy.
    Device {
        /// The id of the device.
        device: i32,
        /// The driver's error message.
        reason: Box<str>,
    },
    /// A device can no longer be used by this process, for example because it has fallen off the bus.
    Lost {
        /// The id of the device.
        device: i32,
        /// The driver's error message.
        reason: Box<str>,
    },
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemoryError::OutOfMemory { place, size } => write!(f, "{place} has no room for {size} bytes"),
            MemoryError::Transfer { from, to, size, reason } => {
                write!(f, "{size} bytes could not be copied from {from} to {to}: {reason}")
            }
            MemoryError::Device { device, reason } => write!(f, "device {device} failed: {reason}"),
            MemoryError::Lost { device, reason } => write!(f, "device {device} is lost: {reason}"),
        }
    }
}

impl Error for MemoryError {}

impl MemoryError {
    /// The error for a failed allocation of `size` bytes of host memory.
    #[cold]
    pub fn no_host_memory(size: usize) -> MemoryError {
        MemoryError::OutOfMemory { place: Place::Host, size }
    }
}
