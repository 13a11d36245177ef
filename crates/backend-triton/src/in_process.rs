//! The server as backends use it: the functions by which a model makes requests to other models of the same process.
//!
//! A request is the backend's object, from which each execution makes one of the contract. The memory of its inputs is lent to
//! that until its last reference is dropped; what comes back goes through a mailbox to a thread that may block, where
//! outputs are copied into the backend's buffers and it is called back.

pub(crate) mod allocator;
mod answer;
mod callbacks;
mod calls;
mod gpus;
mod lending;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod server;
#[cfg(test)]
mod tests;
mod waits;

pub(crate) use gpus::Gpus;
pub(crate) use server::ServerObject;
pub(crate) use waits::{Caller, StartedRequests, WaitingInstance};
