//! Tensors: data types, shapes, and buffers in host, pinned or device memory.
//!
//! All other crates use these types. Nothing here does I/O or depends on models and requests. Tensor memory always has the
//! wire form: little-endian elements in row-major order; BYTES elements follow a 4-byte length.

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
