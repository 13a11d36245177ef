//! Variables that CUDA's libraries read from the environment, once, when they are opened or make a context. So they are set before
//! anything else runs, as in `telemetry.rs`.

#![allow(unsafe_code, reason = "runs before main, and reads and writes the environment of the process")]

use std::ffi::CStr;

/// The memory that cuBLAS takes beside each session. On a GPU of compute capability 9.0 it takes 64 MB or more for each session and
/// thread, in case a multiplication wants them. Eight buffers of 16 KiB make no difference that was measured
/// (`docs/gpu-onnxruntime.md`), and instances on one GPU are many.
const WORKSPACE: (&CStr, &CStr) = (c"CUBLAS_WORKSPACE_CONFIG", c":16:8");

/// Into how many queues the streams of a process go, eight unless this is set. Streams that share a queue wait for each other: what is
/// queued behind the graph of another instance begins after that graph's last kernel has begun.
const QUEUES: (&CStr, &CStr) = (c"CUDA_DEVICE_MAX_CONNECTIONS", c"32");

/// The entry of this crate among the functions that are called before `main`.
#[used]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static BEFORE_MAIN: extern "C" fn() = set;

extern "C" fn set() {
    for (name, default) in [WORKSPACE, QUEUES] {
        // SAFETY: there is no other thread yet. The strings are C strings, and so is a value that is there.
        unsafe {
            let value = libc::getenv(name.as_ptr());
            // An unset variable of a container's file is empty.
            if value.is_null() || *value == 0 {
                libc::setenv(name.as_ptr(), default.as_ptr(), 1);
            }
        }
    }
}

/// What CUDA's libraries find, or have found, for the log: cuBLAS's workspace, and the number of queues.
pub(crate) fn values() -> [String; 2] {
    // A reference, because the linker may leave out an object file that nothing refers to.
    std::hint::black_box(&BEFORE_MAIN);
    [WORKSPACE, QUEUES].map(|(name, _)| {
        let value = name.to_str().ok().and_then(std::env::var_os).unwrap_or_default();
        value.to_string_lossy().into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_set_before_anything_runs() {
        // Fails if the tests run with a variable set to another value, which only their user can do.
        assert_eq!(values(), [":16:8", "32"]);
    }
}
