//! Disables ONNX Runtime's telemetry before the library is opened.
//!
//! From 1.31 on the Linux library keeps a device id and a database of events in the user's cache folder, and sends them
//! to its maker. An environment variable decides that when its environment is created; the library's own switch comes
//! too late, when the files exist. Setting a variable while another thread reads one is a data race, so it is set
//! before `main`, while there is one thread, in every program with this crate.

#![allow(unsafe_code, reason = "runs before main, and reads and writes the environment of the process")]

use std::ffi::CStr;

use hippocamp_engine_library::set_default;

const VARIABLE: &CStr = c"ORT_DISABLE_TELEMETRY";

/// The values that the library takes for true, in upper or lower case.
const YES: [&str; 4] = ["1", "true", "yes", "on"];

/// The entry of this crate among the functions that are called before `main`.
#[used]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static BEFORE_MAIN: extern "C" fn() = switch_off;

extern "C" fn switch_off() {
    // SAFETY: there is no other thread yet. A user who sets 0 wants telemetry.
    unsafe { set_default(VARIABLE, c"1") };
}

/// Whether the library that is opened next will find telemetry disabled.
pub(crate) fn is_off() -> bool {
    // A reference, because the linker may leave out an object file that nothing refers to.
    std::hint::black_box(&BEFORE_MAIN);
    let value = VARIABLE.to_str().ok().and_then(std::env::var_os).unwrap_or_default();
    value.to_str().is_some_and(|value| YES.iter().any(|yes| value.trim().eq_ignore_ascii_case(yes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_off_before_anything_runs() {
        // Fails if the tests run with the variable set to another value, which only their user can do.
        assert!(is_off());
    }
}
