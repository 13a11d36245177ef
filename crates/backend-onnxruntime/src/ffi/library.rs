//! Checks a shared library before it is used as ONNX Runtime.
//!
//! The crate `ort` opens the library for good and panics on anything unexpected. So it is opened here first to check
//! for the entry points that will be needed.

#![allow(unsafe_code, reason = "opens a shared library and calls into it")]

use std::ffi::CStr;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LAZY, RTLD_LOCAL, RTLD_NOW};
use ort::sys::{ORT_API_VERSION, OrtApiBase};

/// The library's version if it is usable; otherwise the reason, as the end of a sentence.
pub(crate) fn probe(path: &Path) -> Result<String, String> {
    whole_file(path)?;
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

/// Why a file cannot be opened as a shared library, as the end of a sentence.
pub(crate) fn fault(path: &Path) -> Option<String> {
    whole_file(path).err()
}

/// Checks that the file is as long as its headers say. Opening a truncated library kills the process, because the
/// loader accesses missing pages. Anything but a 64-bit little-endian ELF file is left to the loader, which refuses it.
fn whole_file(path: &Path) -> Result<(), String> {
    let text = |e: std::io::Error| e.to_string();
    let mut file = File::open(path).map_err(text)?;
    let metadata = file.metadata().map_err(text)?;
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut header = [0; 64];
    if file.read_exact(&mut header).is_err() || header[..6] != *b"\x7fELF\x02\x01" {
        return Err("it is not a shared library".to_owned());
    }
    let u16_at = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let (start, size, count) = (u64_at(&header, 32), u64::from(u16_at(54)), u64::from(u16_at(56)));
    let truncated =
        || format!("it is truncated: {} bytes are less than its headers announce", metadata.len());
    let end = start.checked_add(size * count).filter(|end| *end <= metadata.len()).ok_or_else(truncated)?;
    let mut programs = vec![0; (end - start) as usize];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut programs, start).map_err(text)?;
    for program in programs.chunks_exact(usize::from(u16_at(54)).max(40)) {
        let segment_end = u64_at(program, 8).checked_add(u64_at(program, 32));
        if segment_end.is_none_or(|end| end > metadata.len()) {
            return Err(truncated());
        }
    }
    Ok(())
}

/// The number at an offset, which has to be within `bytes`.
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

/// Opens a library for good, so that libraries which are opened later find it by its name. A path without a folder is
/// looked for by the loader. Otherwise the reason, as the end of a sentence.
pub(crate) fn open_for_all(path: &Path) -> Result<(), String> {
    if path.parent().is_some_and(|folder| !folder.as_os_str().is_empty()) {
        whole_file(path)?;
    }
    // SAFETY: as in `open`.
    let library = unsafe { Library::open(Some(path), RTLD_LAZY | RTLD_GLOBAL) }.map_err(reason)?;
    std::mem::forget(library);
    Ok(())
}

/// Opens a library, which is closed when dropped. All symbols are resolved at once.
fn open(path: &Path) -> Result<Library, String> {
    // SAFETY: whoever configured the library vouches for what it does when it is opened and closed.
    unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(reason)
}

fn reason(fault: libloading::Error) -> String {
    match fault {
        libloading::Error::DlOpen { source } => source.to_string(),
        libloading::Error::InteriorZeroElements => "its path has a null byte".to_owned(),
        _ => "the loader refuses it".to_owned(),
    }
}
