//! The stub processes of Triton's Python backend. The backend itself starts one for each instance of a model, and talks to it
//! through a region of shared memory. What it leaves to its host is here: whether a stub can start at all ([`trial`]), whether
//! it still lives ([`Stub`]), or has ended while the backend waits for its start ([`Children`]), what is left of hosts that were
//! killed ([`Host`]), and which core it runs on ([`SharedCore`]).
//!
//! A region's name is a prefix, which the host may choose, and a random part. Ours has in it what tells hosts apart, so that
//! nothing of others is ever touched: not of a server that lives, not of Triton, not of another container that shares the
//! folder.

#![warn(missing_docs)]

mod children;
mod command_line;
mod ends;
mod host;
mod processes;
mod shared_core;
mod signals;
mod stub;
pub mod trial;

pub use children::{Activity, Children, this_thread};
pub use command_line::check_path;
pub use ends::AwaitedEnd;
pub use host::Host;
pub use shared_core::{Binding, SharedCore, wakes_stub};
pub use signals::await_children;
pub use stub::Stub;

/// Where the backend has its regions.
pub const SHARED_MEMORY: &str = "/dev/shm";

/// How the names of regions begin that the Python backend makes of itself.
pub const USUAL_PREFIX: &str = "triton_python_backend_shm_region_";
