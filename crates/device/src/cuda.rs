//! NVIDIA's GPUs, by the CUDA driver, which is opened at run time.

#![allow(unsafe_code, reason = "calls the CUDA driver")]

mod copier;
mod detect;
mod driver;
mod event;
mod exported;
mod gpu;
mod graph;
mod host;
mod library;
mod memory;
mod nvml;
mod pending;
mod pinned;
mod status;
mod stream;
mod symbols;

pub(crate) use detect::find;
