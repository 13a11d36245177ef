//! Environment variables that engines read.

use std::ffi::CStr;

/// Sets a variable of this process, unless its user gave it a value: an empty one counts as none, as an unset variable of
/// a container's file is empty.
///
/// # Safety
/// There is no other thread yet: setting a variable while another thread reads one is a data race.
pub unsafe fn set_default(name: &CStr, value: &CStr) {
    // SAFETY: the caller promises that there is no other thread. The names are C strings; the current value is null or a
    // C string.
    unsafe {
        let given = libc::getenv(name.as_ptr());
        if given.is_null() || *given == 0 {
            libc::setenv(name.as_ptr(), value.as_ptr(), 1);
        }
    }
}
