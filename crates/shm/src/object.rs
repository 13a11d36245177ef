//! Opening the object that a key names.

#![allow(unsafe_code, reason = "opens a shared memory object by the C library")]

use std::ffi::CString;
use std::fs::File;
use std::os::fd::FromRawFd;

use hippocamp_backend::{Error, Result};

/// Objects whose name begins so belong to the server's own helpers, and are no client's.
const RESERVED: &str = "triton_python_backend_shm_region_";

/// No object has a longer name, with all slashes in front.
const LONGEST_KEY: usize = 512;

/// Refuses a key that is not for clients. `name` is the region's, for the error.
pub(crate) fn refuse_reserved(name: &str, key: &str) -> Result<()> {
    // The C library takes any number of slashes in front for none.
    if key.trim_start_matches('/').starts_with(RESERVED) {
        return Err(Error::invalid_arg(format!(
            "cannot register shared memory region '{name}' with key '{key}' as the key contains the reserved prefix \
             '{RESERVED}'"
        )));
    }
    Ok(())
}

/// Opens an object for reading and writing. Returns its size, too. What is not plain memory is refused: a name can lead
/// neither out of the folder of these objects nor through a link, and a pipe is not waited for.
pub(crate) fn open(key: &str) -> Result<(File, u64)> {
    let unable = || Error::internal(format!("Unable to open shared memory region: '{}'", shown(key)));
    let name = CString::new(key).ok().filter(|_| key.len() <= LONGEST_KEY).ok_or_else(unable)?;
    // SAFETY: the name is a C string. The mode counts only for what is created, and nothing is.
    let descriptor = unsafe { libc::shm_open(name.as_ptr(), libc::O_RDWR, 0) };
    if descriptor < 0 {
        return Err(unable().with_source(std::io::Error::last_os_error()));
    }
    // SAFETY: just opened, and nobody else's.
    let object = unsafe { File::from_raw_fd(descriptor) };
    let invalid = || Error::internal(format!("Invalid shared memory region: '{}'", shown(key)));
    let metadata = object.metadata().map_err(|e| invalid().with_source(e))?;
    if !metadata.is_file() {
        return Err(invalid());
    }
    let size = metadata.len();
    Ok((object, size))
}

/// A key as errors show it.
fn shown(key: &str) -> &str {
    &key[..key.floor_char_boundary(LONGEST_KEY)]
}
