//! Checks a shared library before it is used as ONNX Runtime.
//!
//! The crate `ort` opens the library for good and panics on anything unexpected. So it is opened here first to check
//! for the entry points that will be needed.

#![allow(unsafe_code, reason = "opens a shared library and calls into it")]

use std::ffi::CStr;
use std::path::Path;

use hippocamp_engine_library::open;
use ort::sys::{ORT_API_VERSION, OrtApiBase};

/// The library's version if it is usable; otherwise the reason, as the end of a sentence.
pub(crate) fn probe(path: &Path) -> Result<String, String> {
    let library = open(path)?;
    // SAFETY: in every version of ONNX Runtime the symbol of this name has this type.
    let base = unsafe { library.get::<extern "system" fn() -> *const OrtApiBase>(c"OrtGetApiBase") };
    let base = base.map_err(|_| "it is not ONNX Runtime: it has no 'OrtGetApiBase'")?;
    // SAFETY: returns null, or a table that lives as long as the library is open.
    let base = unsafe { base().as_ref() }.ok_or("it has no interface")?;
    // SAFETY: takes no argument and returns a string that lives as long as the library is open.
    let version = unsafe { (base.GetVersionString)() };
    if version.is_null() {
        return Err("it does not say its version".to_owned());
    }
    // SAFETY: checked for null above; the text ends with a null byte.
    let version = unsafe { CStr::from_ptr(version) }.to_string_lossy().into_owned();
    let minor = version.strip_prefix("1.").and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
    if minor.is_none_or(|minor| minor < ORT_API_VERSION) {
        return Err(format!("it is version {version}"));
    }
    // SAFETY: returns null for an unsupported version of the interface.
    let api = unsafe { (base.GetApi)(ORT_API_VERSION) };
    if api.is_null() {
        return Err(format!("it is version {version}, without interface {ORT_API_VERSION}"));
    }
    Ok(version)
}
