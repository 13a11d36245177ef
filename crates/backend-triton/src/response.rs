//! Responses: what answers a request, from the backend's calls to the request's sender.

mod channel;
mod execution;
pub(crate) mod factory;
mod gathered;
mod left_behind;
mod memory;
pub(crate) mod output;
mod outstanding;
pub(crate) mod parameters;
pub(crate) mod read_back;
mod response_object;
pub(crate) mod send;
pub(crate) mod statistics;
pub(crate) mod times;

pub(crate) use channel::ResponseChannel;
pub(crate) use execution::{Execution, Executions};
pub(crate) use gathered::Gathered;
pub(crate) use left_behind::{handles_left, left_behind};
pub(crate) use memory::OutputMemory;
pub(crate) use outstanding::Outstanding;
pub(crate) use response_object::{ResponseObject, check_size};
