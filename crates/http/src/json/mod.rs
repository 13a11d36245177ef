//! JSON, read and written in one pass over contiguous bytes.
//!
//! Requests are pulled apart by a cursor, without a tree in between: a tensor's numbers go straight to little-endian
//! bytes. What is accepted, and the texts for what is not, are those of Triton's parser: bare `NaN` and `Infinity` are
//! numbers, strings may hold any bytes. Nothing here recurses, nothing allocates more than a small multiple of the bytes
//! that came, and no input makes it panic. Whatever is wrong with a text is its sender's fault, so the status is 400, where
//! Triton says 500.

mod cursor;
mod fault;
mod generate;
mod infer;
mod input;
mod number;
mod output;
mod parameters;
mod plain;
mod scalar;
mod skip;
mod string;
mod tensor;
mod tensor_parameters;
#[cfg(test)]
mod tests;
mod write;
mod write_tensor;

pub(crate) use cursor::Cursor;
pub(crate) use fault::{Fault, unable_to_parse};
pub(crate) use generate::{GenerateRequest, parse_generate};
pub use infer::{JsonRequest, parse_infer};
pub use input::{Content, JsonInput};
pub use output::JsonOutput;
pub use parameters::RequestParameters;
pub(crate) use scalar::Scalar;
pub use tensor_parameters::Place;
pub use write::JsonWriter;
pub(crate) use write_tensor::write_flat;
pub use write_tensor::write_tensor;
