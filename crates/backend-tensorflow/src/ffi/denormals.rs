//! Numbers too small for the usual form count as zero while a graph runs on the calling thread, as they do on the library's
//! own threads. Otherwise the last bits of results would depend on the thread, and such numbers take a hundred times as long.

/// The bits of x86's control register by which results and operands of that kind are zero.
#[cfg(target_arch = "x86_64")]
const FLUSH: u32 = 1 << 15 | 1 << 6;

/// Restores the thread's setting when it is dropped.
pub(super) struct FlushDenormals {
    #[cfg(target_arch = "x86_64")]
    before: u32,
}

impl FlushDenormals {
    /// To be held around a call of the library alone: no floating-point numbers are computed here meanwhile.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn begin() -> FlushDenormals {
        let before = control();
        set_control(before | FLUSH);
        FlushDenormals { before }
    }

    /// Other processors are left as they are.
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn begin() -> FlushDenormals {
        FlushDenormals {}
    }
}

#[cfg(target_arch = "x86_64")]
impl Drop for FlushDenormals {
    fn drop(&mut self) {
        set_control(self.before);
    }
}

#[cfg(target_arch = "x86_64")]
fn control() -> u32 {
    let mut value = 0u32;
    // SAFETY: stores the register's four bytes to `value`.
    unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut value, options(nostack, preserves_flags)) };
    value
}

#[cfg(target_arch = "x86_64")]
fn set_control(value: u32) {
    // SAFETY: the value is one that was read, with or without the two bits above. Nothing computes with floating-point
    // numbers on this thread until the former value is back, but for the library, which expects the bits to be set.
    unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const value, options(nostack, preserves_flags)) };
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn the_setting_is_back_afterwards() {
        let before = control();
        let flushing = FlushDenormals::begin();
        assert_eq!(control() & FLUSH, FLUSH);
        drop(flushing);
        assert_eq!(control() & FLUSH, before & FLUSH);
    }
}
