//! Runs Triton's own backends, `libtriton_<backend>.so`, as they are.
//!
//! Triton has a C interface between its server and its backends, which this crate has the server's side of:
//!
//! - `library`: where the library of a backend is, what it wants, and how the functions of the interface are given to it;
//! - `exports`: the table of these functions, and `absent`: those of them that only say that they are not supported;
//! - `border`: what holds for all of them: handles that are checked, pointers that may be NULL, panics that do not leave;
//! - `objects`, `life`, `request`, `response`: the functions, by what they are about;
//! - `in_process`: those by which a model makes requests to other models;
//! - `host`: the contract of this server's own backends, kept by calling Triton's.
//!
//! All `unsafe` code is in `border`, in calls of libraries, and in memory that backends write to.

#![warn(missing_docs)]
#![deny(improper_ctypes_definitions)]

mod absent;
mod border;
mod counters;
mod exports;
mod host;
mod in_process;
mod library;
mod life;
mod objects;
mod request;
mod response;

pub use counters::write_metrics;
pub use host::{HostSettings, TritonBackends};
#[cfg(feature = "fuzzing")]
pub use library::fuzz_elf;
