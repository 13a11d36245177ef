//! Building blocks for gRPC calls of any service: the assembly of messages from frames within limits, and deadlines.
//!
//! It depends on no service's messages or paths.

pub mod deadline;
mod message_assembly;

pub use message_assembly::{Answers, Assembled, AssembledMessages, Frames, HEADER};
