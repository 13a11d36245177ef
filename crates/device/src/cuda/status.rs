//! What the driver's error codes mean for a device.

use super::library::Status;

pub(super) const SUCCESS: Status = 0;
pub(super) const OUT_OF_MEMORY: Status = 2;
pub(super) const STUB_LIBRARY: Status = 34;
pub(super) const NO_DEVICE: Status = 100;
pub(super) const NOT_READY: Status = 600;
pub(super) const UNKNOWN: Status = 999;

/// Whether the code says that this process can no longer use the device: the device is gone, or its context is destroyed, and
/// every later call fails with the same code.
pub(super) fn is_final(status: Status) -> bool {
    matches!(
        status,
        // The device is unavailable; an uncorrectable ECC or NVLink error, contained or not.
        46 | 214 | 220 | 226
        // An illegal address, a timeout, a destroyed context, an assertion, and faults of kernels.
        | 700 | 702 | 709 | 710 | 714..=719
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_memory_and_a_failed_capture_do_not_cost_the_device() {
        let passing = [SUCCESS, 1, OUT_OF_MEMORY, 201, 400, NOT_READY, 801, 900, 901, UNKNOWN];
        assert!(passing.into_iter().all(|status| !is_final(status)));
        assert!([46, 214, 700, 714, 719].into_iter().all(is_final));
    }
}
