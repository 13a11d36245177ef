//! Figures of a device, as the metrics page and limits read them.

/// Copies of one direction since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transfers {
    /// The number of copies.
    pub copies: u64,
    /// The number of bytes copied.
    pub bytes: u64,
}

/// What this process does with a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceUse {
    /// Copies from host memory.
    pub from_host: Transfers,
    /// Copies to host memory.
    pub to_host: Transfers,
    /// Copies within the device.
    pub within: Transfers,
    /// Copies from another device.
    pub between: Transfers,
    /// Bytes of the memory pool that are in use.
    pub pool_used: u64,
    /// Bytes that the memory pool has taken from the device.
    pub pool_reserved: u64,
}

/// The pool of pinned host memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PinnedUse {
    /// Bytes in use.
    pub used: u64,
    /// The most bytes that there may be in use.
    pub total: u64,
}

/// What the management library of the vendor tells of a device, with what other processes do there. A figure that the device
/// does not have is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// The share of the last moments in which a kernel ran, from 0 to 1.
    pub utilization: Option<f64>,
    /// All memory in bytes.
    pub memory_total: Option<u64>,
    /// The used memory in bytes.
    pub memory_used: Option<u64>,
    /// The power that it draws, in watts.
    pub power_usage: Option<f64>,
    /// The most power that it may draw, in watts.
    pub power_limit: Option<f64>,
    /// The energy that it has consumed since the driver was loaded, in joules.
    pub energy: Option<f64>,
}
