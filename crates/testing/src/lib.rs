//! Runs a whole server inside of a test: HTTP and gRPC on free ports of the loopback, with a repository made for the
//! test.

#![allow(
    clippy::missing_panics_doc,
    reason = "everything here panics when it fails: that is how a test learns of it"
)]

mod gate;
mod http;
mod journal;
mod line_protocol;
mod repository;
mod server;
mod shared_object;

pub use gate::{Gate, gate_config};
pub use http::{HttpReply, send};
pub use journal::{Entry, Journal};
pub use line_protocol::LineProtocol;
pub use repository::{Repository, identity_config};
pub use server::{TestServer, io_threads, limits, network};
pub use shared_object::SharedObject;
