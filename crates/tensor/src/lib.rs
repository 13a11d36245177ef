//! What a tensor is made of: a data type, a shape, and a placed buffer.
//!
//! Every other crate speaks of tensors in these terms. Nothing here does IO, waits, or knows of models and requests.
//! Tensor memory is always the wire form: little-endian elements, row-major; BYTES elements with their 4-byte length.

#![warn(missing_docs)]

mod aligned;
mod buffer;
mod bytes_element;
mod data;
mod data_type;
mod host;
mod place;
mod refill;
mod shape;

pub use aligned::{ALIGNMENT, AlignedBuffer};
pub use buffer::{Allocator, PlacedBuffer, PlacedBufferMut, PlacedSlice};
pub use bytes_element::{BytesElements, BytesFault, LENGTH_PREFIX, count_elements, push_element};
pub use data::TensorData;
pub use data_type::DataType;
pub use host::{HostSegments, IntoIter};
pub use place::{MemoryError, Place};
pub use refill::RefillBuffer;
pub use shape::Shape;
