//! JSON, read and written in one pass over contiguous bytes.
//!
//! A [`Cursor`] reads a request without building a tree: the numbers of a tensor are written directly as little-endian
//! bytes. The accepted syntax and the error messages are those of Triton's parser: bare `NaN` and `Infinity` are numbers,
//! and strings may hold any bytes. The parser does not recurse, allocates at most a small multiple of the input's size, and
//! does not panic on any input.

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
