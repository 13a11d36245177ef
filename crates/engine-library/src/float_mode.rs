//! How a thread takes numbers too small for the usual form: as they are, or as zero.

/// The bits of x86's control register by which results and operands of that kind are zero.
#[cfg(target_arch = "x86_64")]
const FLUSH: u32 = 1 << 15 | 1 << 6;

/// A part of the thread's work, behind which its mode is as it was before. Other processors than x86-64 are left as they are.
#[derive(Debug)]
#[must_use = "the mode is restored when it is dropped"]
pub struct FloatMode {
    #[cfg(target_arch = "x86_64")]
    before: u32,
}

impl FloatMode {
    /// Leaves the mode to the library that is called meanwhile.
    pub fn kept() -> FloatMode {
        FloatMode {
            #[cfg(target_arch = "x86_64")]
            before: control(),
        }
    }

    /// Takes such numbers as zero. To be held around a call of a library alone: no floating-point numbers are computed here
    /// meanwhile.
    pub fn flushing() -> FloatMode {
        let mode = FloatMode::kept();
        #[cfg(target_arch = "x86_64")]
        set_control(mode.before | FLUSH);
        mode
    }
}

#[cfg(target_arch = "x86_64")]
impl Drop for FloatMode {
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
    // numbers on this thread until the former value is back, but for a library that was told or asked for the bits.
    unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const value, options(nostack, preserves_flags)) };
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn the_setting_is_back_afterwards() {
        let before = control();
        let flushing = FloatMode::flushing();
        assert_eq!(control() & FLUSH, FLUSH);
        drop(flushing);
        assert_eq!(control() & FLUSH, before & FLUSH);
        let kept = FloatMode::kept();
        set_control(before | FLUSH);
        drop(kept);
        assert_eq!(control() & FLUSH, before & FLUSH);
    }
}
