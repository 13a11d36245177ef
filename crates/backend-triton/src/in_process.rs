//! The server as backends use it: the functions by which a model makes requests to other models of the same process.

pub(crate) mod allocator;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod server;
