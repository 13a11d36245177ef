//! Everything unsafe of this crate: what the crate `ort` does not offer, or only at a price on the hot path.
//!
//! Its safe way to run a session builds C strings, asks for memory infos and allocators, and allocates for each of them,
//! every time. Here the same calls are made with what an instance keeps.

#![allow(unsafe_code, reason = "the one place for it")]

pub(crate) mod arena;
pub(crate) mod library;
pub(crate) mod memory;
pub(crate) mod session;
pub(crate) mod telemetry;
pub(crate) mod value;

use ort::sys::OrtStatusPtr;

use crate::error::engine;

/// The outcome of a C call.
///
/// # Safety
/// The status was returned by a call of the C interface, and is given away here.
unsafe fn outcome(status: OrtStatusPtr) -> hippocamp_backend::Result<()> {
    // SAFETY: as required of the caller.
    unsafe { ort::Error::result_from_status(status) }.map_err(engine)
}
