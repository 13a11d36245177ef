//! Building blocks for gRPC calls of any service: the assembly of messages from frames within limits, messages whose
//! tensors are not copied, and deadlines.
//!
//! It depends on no service's messages or paths.

pub mod deadline;
mod error_text;
mod expansion;
mod frame_decode;
mod message_assembly;
mod metadata;
mod pieces;
mod room;
mod unary;

pub use error_text::error_text;
pub use frame_decode::{RawTensors, decode};
pub use message_assembly::{Answers, Assembled, AssembledMessages, Frames, HEADER};
pub use metadata::metadata;
pub use pieces::pieces;
pub use room::Room;
pub use unary::{Read, may_compress, sent};

/// The largest message in bytes, as large as its length can be for other implementations, in both directions.
pub const MESSAGE_SIZE: usize = i32::MAX as usize;
