//! The outcome of a call.

use std::ffi::CStr;
use std::ptr::NonNull;

use super::api;
use super::library::Library;
use crate::error::Fault;

/// Takes the outcome of one call after the other.
pub(crate) struct Status<'a> {
    library: &'a Library,
    raw: NonNull<api::Status>,
}

impl<'a> Status<'a> {
    pub(crate) fn new(library: &'a Library) -> Status<'a> {
        // SAFETY: takes no argument; the result is owned.
        let raw = unsafe { (library.api.TF_NewStatus)() };
        // The library ends the process when it has no memory for so little.
        let raw = NonNull::new(raw).unwrap_or_else(|| std::process::abort());
        Status { library, raw }
    }

    pub(super) fn as_ptr(&self) -> *mut api::Status {
        self.raw.as_ptr()
    }

    /// The outcome of the last call that was given this.
    pub(crate) fn outcome(&self) -> Result<(), Fault> {
        let api = &self.library.api;
        // SAFETY: the status is live; the text belongs to it and is copied before the next call.
        unsafe {
            let code = (api.TF_GetCode)(self.as_ptr());
            if code == 0 {
                return Ok(());
            }
            let message = CStr::from_ptr((api.TF_Message)(self.as_ptr())).to_string_lossy();
            Err(Fault::new(code, &message))
        }
    }
}

impl Drop for Status<'_> {
    fn drop(&mut self) {
        // SAFETY: the status is live and owned.
        unsafe { (self.library.api.TF_DeleteStatus)(self.as_ptr()) };
    }
}
