//! The memory that cuBLAS takes beside each session.
//!
//! On a GPU of compute capability 9.0 cuBLAS takes 64 MB or more for each session and thread, in case a multiplication wants
//! them. Eight buffers of 16 KiB make no difference that was measured (`docs/gpu-onnxruntime.md`), and instances on one GPU are many. cuBLAS
//! reads the variable once, when it is opened, so it is set before anything else runs, as in `telemetry.rs`.

#![allow(unsafe_code, reason = "runs before main, and reads and writes the environment of the process")]

use std::ffi::CStr;

const VARIABLE: &CStr = c"CUBLAS_WORKSPACE_CONFIG";

/// Eight buffers of 16 KiB.
const SMALL: &CStr = c":16:8";

/// The entry of this crate among the functions that are called before `main`.
#[used]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static BEFORE_MAIN: extern "C" fn() = make_small;

extern "C" fn make_small() {
    // SAFETY: there is no other thread yet. The strings are C strings, and so is a value that is there.
    unsafe {
        let value = libc::getenv(VARIABLE.as_ptr());
        // An unset variable of a container's file is empty.
        if value.is_null() || *value == 0 {
            libc::setenv(VARIABLE.as_ptr(), SMALL.as_ptr(), 1);
        }
    }
}

/// What cuBLAS finds, or has found, for the log.
pub(crate) fn workspace() -> String {
    // A reference, because the linker may leave out an object file that nothing refers to.
    std::hint::black_box(&BEFORE_MAIN);
    let value = VARIABLE.to_str().ok().and_then(std::env::var_os).unwrap_or_default();
    value.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_small_before_anything_runs() {
        // Fails if the tests run with the variable set to another value, which only their user can do.
        assert_eq!(workspace(), ":16:8");
    }
}
