//! Requests and responses, independent of the protocol.

use bytes::Bytes;
use hippocamp_tensor::DataType;

/// The metadata of a model's input or output. -1 is a variable size; the batch dimension is part of the shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TensorInfo {
    pub(crate) name: String,
    pub(crate) data_type: DataType,
    pub(crate) shape: Vec<i64>,
}

/// A model's metadata.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metadata {
    pub(crate) inputs: Vec<TensorInfo>,
    pub(crate) outputs: Vec<TensorInfo>,
}

/// A tensor in the encoding of the protocol's binary data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) data_type: DataType,
    pub(crate) shape: Vec<i64>,
    pub(crate) data: Bytes,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Parameter {
    Bool(bool),
    Int(i64),
    Double(f64),
    String(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) inputs: Vec<Tensor>,
    /// The requested outputs; empty for all.
    pub(crate) outputs: Vec<String>,
    pub(crate) parameters: Vec<(String, Parameter)>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) model: String,
    pub(crate) version: String,
    pub(crate) outputs: Vec<Tensor>,
}

/// Formats data type and shape for messages, as in `BYTES [-1,1]`.
pub(crate) fn describe(info: &TensorInfo) -> String {
    format!("{} ({} {})", info.name, info.data_type, dims(&info.shape))
}

/// Formats a shape, as in `[1,3]`.
pub(crate) fn dims(shape: &[i64]) -> String {
    let sizes: Vec<String> = shape.iter().map(i64::to_string).collect();
    format!("[{}]", sizes.join(","))
}

/// The number of elements of a shape; `None` if a size is variable or the product overflows.
pub(crate) fn count(shape: &[i64]) -> Option<usize> {
    shape.iter().try_fold(1usize, |count, &size| count.checked_mul(usize::try_from(size).ok()?))
}
