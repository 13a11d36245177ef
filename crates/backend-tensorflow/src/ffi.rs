//! All unsafe code of this crate: some 50 functions of TensorFlow's C interface, and what owns the objects behind them.
//!
//! The functions are found in the library by name when it is opened. Each object has one owner here, which releases it.

#![allow(unsafe_code, reason = "the one place for it")]

pub(crate) mod api;
pub(crate) mod graph;
pub(crate) mod library;
pub(crate) mod printed;
pub(crate) mod session;
pub(crate) mod status;
pub(crate) mod strings;
pub(crate) mod tensor;
pub(crate) mod variables;
