//! Where memory is, and what can go wrong with it.

use std::error::Error;
use std::fmt;

/// Where the memory of a buffer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Place {
    /// Memory of the CPU.
    #[default]
    Host,
    /// Memory of the CPU that a device can read and write by itself.
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

/// Memory could not be had, or not be copied. Neither is the fault of whoever holds the memory, which stays usable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemoryError {
    /// An allocation failed.
    OutOfMemory {
        /// Where the memory was wanted.
        place: Place,
        /// How many bytes were wanted.
        size: usize,
    },
    /// A copy between two places failed.
    Transfer {
        /// Where the bytes are.
        from: Place,
        /// Where they were wanted.
        to: Place,
        /// How many bytes there are.
        size: usize,
        /// What the driver says.
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
        }
    }
}

impl Error for MemoryError {}

impl MemoryError {
    /// There are no `size` bytes of host memory.
    #[cold]
    pub fn no_host_memory(size: usize) -> MemoryError {
        MemoryError::OutOfMemory { place: Place::Host, size }
    }
}
