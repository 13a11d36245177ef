//! Opens the shared memory object of a key.

#![allow(unsafe_code, reason = "opens a shared memory object by the C library")]

use std::ffi::CString;
use std::fs::File;
use std::os::fd::FromRawFd;

use hippocamp_backend::{Error, Result};

/// The prefix of objects that Triton's Python backend uses; clients must not register them.
const RESERVED: &str = "triton_python_backend_shm_region_";

/// The longest key, including leading slashes.
const LONGEST_KEY: usize = 512;

/// Fails if the key is reserved. `name` is the region's name for the message.
pub(crate) fn refuse_reserved(name: &str, key: &str) -> Result<()> {
    // The C library ignores leading slashes.
    if key.trim_start_matches('/').starts_with(RESERVED) {
        return Err(Error::invalid_arg(format!(
            "cannot register shared memory region '{name}' with key '{key}' as the key contains the reserved prefix \
             '{RESERVED}'"
        )));
    }
    Ok(())
}

/// Opens an object for reading and writing, and returns its size. Anything but a regular file is refused. The key
/// cannot leave the folder of shared memory objects or follow a link, and opening a pipe does not block.
pub(crate) fn open(key: &str) -> Result<(File, u64)> {
    let unable = || Error::internal(format!("Unable to open shared memory region: '{}'", shown(key)));
    let name = CString::new(key).ok().filter(|_| key.len() <= LONGEST_KEY).ok_or_else(unable)?;
    // SAFETY: the name is a C string. The mode is ignored because no object is created.
    let descriptor = unsafe { libc::shm_open(name.as_ptr(), libc::O_RDWR, 0) };
    if descriptor < 0 {
        return Err(unable().with_source(std::io::Error::last_os_error()));
    }
    // SAFETY: the descriptor was just opened, and nothing else owns it.
    let object = unsafe { File::from_raw_fd(descriptor) };
    let invalid = || Error::internal(format!("Invalid shared memory region: '{}'", shown(key)));
    let metadata = object.metadata().map_err(|e| invalid().with_source(e))?;
    if !metadata.is_file() {
        return Err(invalid());
    }
    let size = metadata.len();
    Ok((object, size))
}

/// A key as error messages show it.
fn shown(key: &str) -> &str {
    &key[..key.floor_char_boundary(LONGEST_KEY)]
}
