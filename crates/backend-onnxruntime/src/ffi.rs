//! All unsafe code of this crate: calls that the crate `ort` lacks, or that it makes too slow for the hot path.
//!
//! Its safe way to run a session creates C strings, memory infos and allocators every time. Here the same calls are
//! made with objects that an instance keeps.

#![allow(unsafe_code, reason = "the one place for it")]

pub(crate) mod arena;
pub(crate) mod binding;
pub(crate) mod cuda_variables;
pub(crate) mod library;
pub(crate) mod session;
pub(crate) mod telemetry;
pub(crate) mod value;

use ort::sys::OrtStatusPtr;

use crate::error::engine;

/// Converts the status of a C call to a result.
///
/// # Safety
/// The status was returned by a call of the C interface; its ownership is passed.
unsafe fn outcome(status: OrtStatusPtr) -> hippocamp_backend::Result<()> {
    // SAFETY: the caller upholds the contract.
    unsafe { ort::Error::result_from_status(status) }.map_err(engine)
}
