//! A stand-in for TensorRT's library, for tests: the same functions and virtual tables, and plans that are text.
//!
//! Which version it plays is said by its file's name, as `libnvinfer.so.10`: so one build is all of them. It executes in host memory, or, where its
//! tensors are on a GPU, by kernels on the stream that it is given, so that runs can be captured. What a plan may say is in
//! `plan.rs`. A method that is called and not implemented here ends the process, with its place.

#![allow(unsafe_code, unreachable_pub, reason = "implements C++ interfaces, whose functions are exported")]
#![allow(clippy::print_stderr, reason = "stands in for a library without our log")]

mod builder;
mod callbacks;
mod context;
mod cuda;
mod engine;
mod late;
mod object;
mod plan;
mod run;
mod runtime;

use std::ffi::{CStr, CString, c_int, c_void};
use std::sync::OnceLock;

use hippocamp_tensorrt_sys::{Layout, Product, Version};

/// Which version this file plays.
pub(crate) struct Role {
    pub(crate) layout: Layout,
    pub(crate) version: Version,
}

pub(crate) fn role() -> &'static Role {
    static ROLE: OnceLock<Role> = OnceLock::new();
    ROLE.get_or_init(|| {
        let name = own_path();
        let name = name.rsplit('/').next().unwrap_or_default();
        let (product, number) = match name {
            "libnvinfer.so.11" | "libnvonnxparser.so.11" => (Product::TensorRt, 110_400),
            "libnvinfer.so.12" => (Product::TensorRt, 120_000),
            "libtensorrt_rtx.so.1" | "libtensorrt_onnxparser_rtx.so.1" => (Product::TensorRtRtx, 10_701),
            _ => (Product::TensorRt, 101_601),
        };
        let version = Version::of_number(number);
        // Of a version that is not known nothing but the number is asked.
        Role { layout: Layout::of(product, version).unwrap_or(Layout::V11), version }
    })
}

/// The path that this library was opened from.
fn own_path() -> String {
    // SAFETY: the structure is of plain pointers, and filled by a successful call, whose names are texts of the loader's.
    unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        if libc::dladdr(own_path as *const c_void, &raw mut info) == 0 || info.dli_fname.is_null() {
            return String::new();
        }
        CStr::from_ptr(info.dli_fname).to_string_lossy().into_owned()
    }
}

/// The version, as TensorRT's libraries say it.
#[unsafe(no_mangle)]
pub extern "C" fn getInferLibVersion() -> c_int {
    role().version.number()
}

/// Makes a runtime.
///
/// # Safety
/// The logger is an object of the library's interface, which outlives the runtime.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn createInferRuntime_INTERNAL(logger: *mut c_void, version: c_int) -> *mut c_void {
    let log = object::Log(logger as usize);
    if version != role().version.number() {
        log.error(&format!("the caller is of version {version}"));
        return std::ptr::null_mut();
    }
    runtime::make(log)
}

/// A text that lives as long as the process.
pub(crate) fn leaked(text: &str) -> &'static CStr {
    CString::new(text).map_or(c"", |text| Box::leak(text.into_boxed_c_str()))
}
