//! JSON, read and written in one pass over contiguous bytes.
//!
//! A request is pulled apart by a [`Cursor`], without a tree in between: a tensor's numbers go straight to little-endian
//! bytes. What is accepted, and the texts for what is not, are those of Triton's parser: bare `NaN` and `Infinity` are
//! numbers, strings may hold any bytes. Nothing here recurses, nothing allocates more than a small multiple of the bytes
//! that came, and no input makes it panic.

mod cursor;
mod fault;
mod number;
mod plain;
mod scalar;
mod skip;
mod string;
pub mod tensor;
mod write;
mod write_tensor;

pub use cursor::{Cursor, Mark};
pub use fault::{Fault, unable_to_parse};
pub use number::Number;
pub use scalar::{AccessFault, Scalar, utf8};
pub use write::JsonWriter;
pub use write_tensor::{write_flat, write_tensor};
