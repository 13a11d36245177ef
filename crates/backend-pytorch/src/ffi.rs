//! All unsafe code of this crate: the functions of `shim/shim.h`, and what owns the objects behind them.
//!
//! The functions are found in the library by name when it is opened. Each object has one owner here, which releases it.

#![allow(unsafe_code, reason = "the one place for it")]

pub(crate) mod api;
pub(crate) mod library;
mod listener;
mod memory;
pub(crate) mod module;
pub(crate) mod outputs;
