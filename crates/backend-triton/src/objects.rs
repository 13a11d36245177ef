//! Objects that belong to no request: errors, messages, parameters, attributes of buffers, memory, metrics, the log.

pub(crate) mod buffer_attributes;
pub(crate) mod error;
mod gpu_pool;
pub(crate) mod log;
pub(crate) mod memory;
pub(crate) mod message;
pub(crate) mod metric;
pub(crate) mod metric_family;
pub(crate) mod names;
pub(crate) mod parameter;
pub(crate) mod trace;

pub(crate) use buffer_attributes::BufferAttributesObject;
pub(crate) use error::ErrorObject;
pub(crate) use memory::MemoryManagerObject;
pub(crate) use message::MessageObject;
pub(crate) use trace::TraceObject;
