//! A whole server inside of a test: every front on a free port of the loopback, over a repository made for the test.

mod http;
mod repository;
mod server;

pub use http::HttpReply;
pub use repository::{Repository, identity_config};
pub use server::TestServer;
