//! What gRPC calls are made of, whatever service they call: messages assembled from frames within limits, and deadlines.
//!
//! It knows no message and no path of any service.

pub mod deadline;
mod message_assembly;

pub use message_assembly::{Answers, Assembled, AssembledMessages, Frames, HEADER};
