//! `shim/shim.h` in Rust: structures, and functions with their types.

use std::ffi::{CString, c_char, c_void};

use libloading::os::unix::Library;

/// The version of the interface that is spoken here.
pub(crate) const INTERFACE: u32 = 2;

/// Codes of calls.
pub(crate) const OK: i32 = 0;
pub(crate) const NO_MEMORY: i32 = 2;

/// Declares objects that are known by their address only.
macro_rules! opaque {
    ($($name:ident)+) => {
        $(
            #[derive(Debug)]
            #[repr(C)]
            pub(crate) struct $name([u8; 0]);
        )+
    };
}

opaque! { Model Outputs Tensor }

/// What an argument or a result is.
pub(crate) mod kind {
    pub(crate) const TENSOR: i32 = 1;
    pub(crate) const STRINGS: i32 = 2;
    pub(crate) const TENSOR_DICT: i32 = 3;
    pub(crate) const OPTIONAL_TENSOR: i32 = 4;
    pub(crate) const INT: i32 = 5;
    pub(crate) const FLOAT: i32 = 6;
    pub(crate) const BOOL: i32 = 7;
    pub(crate) const NONE: i32 = 9;
    pub(crate) const DEFAULT: i32 = 10;
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Facts {
    pub(crate) argument_count: usize,
    pub(crate) result_count: usize,
    pub(crate) keeper: *const c_char,
    pub(crate) reads_later: u8,
    pub(crate) is_training: u8,
    pub(crate) results_vary: u8,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Port {
    pub(crate) name: *const c_char,
    pub(crate) type_name: *const c_char,
    pub(crate) kind: i32,
    pub(crate) has_default: u8,
    pub(crate) is_written: u8,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Text {
    pub(crate) start: *const u8,
    pub(crate) size: usize,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Value {
    pub(crate) kind: i32,
    pub(crate) element: i32,
    pub(crate) shape: *const i64,
    pub(crate) rank: usize,
    pub(crate) data: *const c_void,
    pub(crate) size: usize,
    pub(crate) strings: *const Text,
    pub(crate) string_count: usize,
    pub(crate) key: *const c_char,
    pub(crate) is_copied: u8,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct RunOptions {
    pub(crate) threads: i32,
    pub(crate) inference_mode: u8,
    pub(crate) optimized: u8,
    pub(crate) as_dictionary: u8,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Switches {
    pub(crate) profiling: i8,
    pub(crate) executor: i8,
    pub(crate) tensor_fuser: i8,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct RunResult {
    pub(crate) kind: i32,
    pub(crate) element: i32,
    pub(crate) shape: *const i64,
    pub(crate) rank: usize,
    pub(crate) data: *const c_void,
    pub(crate) size: usize,
    pub(crate) strings: *const Text,
    pub(crate) string_count: usize,
    pub(crate) type_name: *const c_char,
    pub(crate) is_sole: u8,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Memory {
    pub(crate) allocate: extern "C" fn(usize) -> *mut c_void,
    pub(crate) release: unsafe extern "C" fn(*mut c_void, usize),
}

pub(crate) type Listener = extern "C" fn(i32, *const c_char, usize);

macro_rules! functions {
    ($($name:ident = $symbol:literal ($($argument:ty),*) $(-> $result:ty)?;)+) => {
        /// The functions of the shim.
        #[derive(Debug)]
        pub(crate) struct Api {
            $(pub(crate) $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)+
        }

        impl Api {
            /// Finds every function; otherwise the name of one that is missing.
            pub(super) fn of(library: &Library) -> Result<Api, &'static str> {
                Ok(Api {
                    $($name: {
                        let name = CString::new($symbol).map_err(|_| $symbol)?;
                        // SAFETY: a function of this name has this type in the version of the interface that was checked.
                        *unsafe { library.get(name.as_c_str()) }.map_err(|_| $symbol)?
                    },)+
                })
            }
        }
    };
}

/// A function that shims of the same interface may be without.
pub(super) type Key = unsafe extern "C" fn(*const Model, u8, usize) -> *const c_char;
pub(super) const KEY: &std::ffi::CStr = c"hippocamp_torch_key";

functions! {
    built_for = "hippocamp_torch_built_for" () -> *const c_char;
    built_for_abi = "hippocamp_torch_built_for_abi" () -> u64;
    library_abi = "hippocamp_torch_library_abi" () -> u64;
    listen = "hippocamp_torch_listen" (Listener);
    use_memory = "hippocamp_torch_use_memory" (Memory, *mut *mut c_char) -> i32;
    set_interop_threads = "hippocamp_torch_set_interop_threads" (i32, *mut *mut c_char) -> i32;
    set_switches = "hippocamp_torch_set_switches" (Switches, *mut *mut c_char) -> i32;

    load = "hippocamp_torch_load" (*const c_char, u8, *mut *mut Model, *mut *mut c_char) -> i32;
    free_model = "hippocamp_torch_free_model" (*mut Model);
    describe = "hippocamp_torch_describe" (*const Model) -> Facts;
    argument = "hippocamp_torch_argument" (*const Model, usize) -> Port;
    result_port = "hippocamp_torch_result_port" (*const Model, usize) -> Port;

    run = "hippocamp_torch_run" (
        *mut Model, *const RunOptions, *const Value, usize, *mut *mut Outputs, *mut *mut c_char
    ) -> i32;
    free_outputs = "hippocamp_torch_free_outputs" (*mut Outputs);
    result_count = "hippocamp_torch_result_count" (*const Outputs) -> usize;
    result_key = "hippocamp_torch_result_key" (*const Outputs, usize) -> *const c_char;
    result_at = "hippocamp_torch_result_at" (*mut Outputs, usize, *mut RunResult, *mut *mut c_char) -> i32;
    keep = "hippocamp_torch_keep" (*mut Outputs, usize) -> *mut Tensor;
    free_tensor = "hippocamp_torch_free_tensor" (*mut Tensor);
    free_text = "hippocamp_torch_free_text" (*mut c_char);
}
