//! Sets the environment variables of the library, unless the user did, before anything runs.
//!
//! `TF_ENABLE_ONEDNN_OPTS=1`: convolution and pooling of channels-first images have kernels for the CPU under oneDNN only.
//! `TF_CPP_MIN_LOG_LEVEL=2`: only errors are written to standard error; the library has no other place for its messages.
//! `TF_OVERRIDE_GLOBAL_THREADPOOL=1`: each session has the number of threads that its model asks for; otherwise that of the
//! first model of the process would count for all.
//!
//! Setting a variable while another thread reads one is a data race, so it is done before `main`, while there is one
//! thread, in every program with this crate.

use std::ffi::CStr;

use hippocamp_engine_library::set_default;

const VARIABLES: [(&CStr, &CStr); 3] = [
    (c"TF_ENABLE_ONEDNN_OPTS", c"1"),
    (c"TF_CPP_MIN_LOG_LEVEL", c"2"),
    (c"TF_OVERRIDE_GLOBAL_THREADPOOL", c"1"),
];

/// The entry of this crate among the functions that are called before `main`.
#[used]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static BEFORE_MAIN: extern "C" fn() = set;

extern "C" fn set() {
    for (name, value) in VARIABLES {
        // SAFETY: there is no other thread yet.
        unsafe { set_default(name, value) };
    }
}

/// Keeps the entry in the program: the linker may leave out an object file that nothing refers to.
pub(crate) fn keep() {
    std::hint::black_box(&BEFORE_MAIN);
}

#[cfg(test)]
mod tests {
    #[test]
    fn they_are_set_before_anything_runs() {
        super::keep();
        for (name, _) in super::VARIABLES {
            assert!(std::env::var_os(name.to_str().unwrap()).is_some(), "{name:?}");
        }
    }
}
