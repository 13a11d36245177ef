//! What is sent and what comes back, whatever the protocol.

use bytes::Bytes;
use hippocamp_tensor::DataType;

/// What a model says of one of its tensors. -1 is an open size; the batch dimension is part of the shape.
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

/// A tensor in its wire form.
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
    /// Empty: all.
    pub(crate) outputs: Vec<String>,
    pub(crate) parameters: Vec<(String, Parameter)>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) model: String,
    pub(crate) version: String,
    pub(crate) outputs: Vec<Tensor>,
}

/// `BYTES [-1,1]`, for messages.
pub(crate) fn describe(info: &TensorInfo) -> String {
    format!("{} ({} {})", info.name, info.data_type, dims(&info.shape))
}

/// `[1,3]`
pub(crate) fn dims(shape: &[i64]) -> String {
    let sizes: Vec<String> = shape.iter().map(i64::to_string).collect();
    format!("[{}]", sizes.join(","))
}

/// How many elements a shape has; `None` if a size is open or there are too many.
pub(crate) fn count(shape: &[i64]) -> Option<usize> {
    shape.iter().try_fold(1usize, |count, &size| count.checked_mul(usize::try_from(size).ok()?))
}
