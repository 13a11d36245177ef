//! What backends share that open an engine's library at run time.
//!
//! All of it is `unsafe` by nature: a library is code, and the C library's allocator is a global of the process.

#![allow(unsafe_code, reason = "opens shared libraries, and calls the C library")]
#![warn(missing_docs)]

mod float_mode;
mod library_path;
mod memory;
mod messages;
mod variables;
mod whole_file;

use std::path::Path;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LAZY, RTLD_LOCAL, RTLD_NOW};

pub use float_mode::FloatMode;
pub use library_path::LibraryPath;
pub use memory::give_back;
pub use messages::one_line;
pub use variables::set_default;
pub use whole_file::fault;

/// Opens a library, which is closed when dropped. All symbols are resolved at once, and none of them is visible to other
/// libraries.
///
/// # Errors
/// The reason, as the end of a sentence: the file is missing, no library or truncated, or the loader refuses it.
pub fn open(path: &Path) -> Result<Library, String> {
    fault(path).map_or(Ok(()), Err)?;
    // SAFETY: whoever configured the library vouches for what it does when it is opened and closed.
    unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(reason)
}

/// Opens a library as [`open`] does, but resolves each symbol when it is first used: for one that refers to others which need not be
/// there as long as it does not call them.
///
/// # Errors
/// As of [`open`].
pub fn open_lazily(path: &Path) -> Result<Library, String> {
    fault(path).map_or(Ok(()), Err)?;
    // SAFETY: as in `open`.
    unsafe { Library::open(Some(path), RTLD_LAZY | RTLD_LOCAL) }.map_err(reason)
}

/// Opens a library for good, so that libraries which are opened later find it by its name. A path without a folder is
/// looked for by the loader.
///
/// # Errors
/// The reason, as the end of a sentence.
pub fn open_for_all(path: &Path) -> Result<(), String> {
    if path.parent().is_some_and(|folder| !folder.as_os_str().is_empty()) {
        fault(path).map_or(Ok(()), Err)?;
    }
    // SAFETY: as in `open`.
    let library = unsafe { Library::open(Some(path), RTLD_LAZY | RTLD_GLOBAL) }.map_err(reason)?;
    std::mem::forget(library);
    Ok(())
}

fn reason(fault: libloading::Error) -> String {
    match fault {
        libloading::Error::DlOpen { source } => source.to_string(),
        libloading::Error::InteriorZeroElements => "its path has a null byte".to_owned(),
        _ => "the loader refuses it".to_owned(),
    }
}
