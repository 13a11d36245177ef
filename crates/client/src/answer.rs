//! Requests and responses, independent of the protocol.

use bytes::Bytes;
use hippocamp_tensor::DataType;

/// The metadata of a model's input or output. -1 is a variable size; the batch dimension is part of the shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    pub name: String,
    pub data_type: DataType,
    pub shape: Vec<i64>,
}

/// A model's metadata.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    pub inputs: Vec<TensorInfo>,
    pub outputs: Vec<TensorInfo>,
}

/// A tensor in the encoding of the protocol's binary data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    pub name: String,
    pub data_type: DataType,
    pub shape: Vec<i64>,
    pub data: Bytes,
}

/// The value of a request parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    Bool(bool),
    Int(i64),
    Double(f64),
    String(String),
}

/// A request to a model.
#[derive(Clone, Debug)]
pub struct Request {
    pub inputs: Vec<Tensor>,
    /// The requested outputs; empty for all.
    pub outputs: Vec<String>,
    pub parameters: Vec<(String, Parameter)>,
}

/// The response to a request.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub model: String,
    pub version: String,
    pub outputs: Vec<Tensor>,
}

/// Formats data type and shape for messages, as in `BYTES [-1,1]`.
pub fn describe(info: &TensorInfo) -> String {
    format!("{} ({} {})", info.name, info.data_type, dims(&info.shape))
}

/// Formats a shape, as in `[1,3]`.
pub fn dims(shape: &[i64]) -> String {
    let sizes: Vec<String> = shape.iter().map(i64::to_string).collect();
    format!("[{}]", sizes.join(","))
}

/// The number of elements of a shape; `None` if a size is variable or the product overflows.
pub(crate) fn count(shape: &[i64]) -> Option<usize> {
    shape.iter().try_fold(1usize, |count, &size| count.checked_mul(usize::try_from(size).ok()?))
}
