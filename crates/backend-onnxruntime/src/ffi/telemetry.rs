//! ONNX Runtime's telemetry, off before the library is opened.
//!
//! From 1.31 on the library for Linux keeps a device id and a database of events in the user's cache folder, and sends them
//! to its maker. What it does is decided when its environment is made, by a variable of this process; its own switch comes
//! later, when the files are there. Writing a variable while another thread reads one is a race, so it is written
//! before `main`, when there is one thread, in every program that this crate is part of.

#![allow(unsafe_code, reason = "runs before main, and reads and writes the environment of the process")]

use std::ffi::CStr;

const VARIABLE: &CStr = c"ORT_DISABLE_TELEMETRY";

/// What the library takes for a yes, in capitals or not.
const YES: [&str; 4] = ["1", "true", "yes", "on"];

/// One of the functions that are called before `main`.
#[used]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static BEFORE_MAIN: extern "C" fn() = switch_off;

extern "C" fn switch_off() {
    // SAFETY: there is no other thread yet. The names are C strings; what is there is null or one as well.
    unsafe {
        let value = libc::getenv(VARIABLE.as_ptr());
        // An empty value is what a variable that nobody set leaves in a container's file; the library would not take it
        // for a yes. Whoever says 0 wants telemetry.
        if value.is_null() || *value == 0 {
            libc::setenv(VARIABLE.as_ptr(), c"1".as_ptr(), 1);
        }
    }
}

/// Whether the library that is opened next will find the switch.
pub(crate) fn is_off() -> bool {
    // An object file that nothing refers to may be left out by the linker, and the function with it.
    std::hint::black_box(&BEFORE_MAIN);
    let value = VARIABLE.to_str().ok().and_then(std::env::var_os).unwrap_or_default();
    value.to_str().is_some_and(|value| YES.iter().any(|yes| value.trim().eq_ignore_ascii_case(yes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_off_before_anything_runs() {
        // A run of the tests with the variable set to something else is asked for by whoever sets it.
        assert!(is_off());
    }
}
