//! Ensembles in a server without protocols: loading, reloading, and what belongs to which request.

#![allow(clippy::unwrap_used, reason = "tests")]

mod batching;
mod devices;
mod kit;
mod loading;
mod plans;
mod reloading;
mod system_b;
