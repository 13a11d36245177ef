//! What is noted of a traced request.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hippocamp_events::{ModelId, TensorPlace};
use hippocamp_tensor::DataType;

use crate::Activity;

/// Something that was noted of a request, or of a request that was made on its behalf.
#[derive(Clone, Debug)]
pub struct Record {
    /// The id of that request in traces.
    pub id: u64,
    /// What.
    pub what: What,
}

impl Record {
    /// About how many bytes it takes, with what clients chose the length of.
    pub(crate) fn size(&self) -> usize {
        let text = match &self.what {
            What::Tensor(tensor) => tensor.data.len() + tensor.name.len() + size_of_val(&*tensor.shape),
            What::Request { request_id, .. } => request_id.len(),
            What::Failed { message } => message.len(),
            What::Named { name, .. } => name.len(),
            What::Time { .. } => 0,
        };
        size_of::<Record>() + text
    }
}

/// What was noted.
#[derive(Clone, Debug)]
pub enum What {
    /// The request began at a model.
    Request {
        /// The model.
        model: ModelId,
        /// The client's own id; may be empty.
        request_id: Arc<str>,
        /// The id of the request on whose behalf it was made.
        parent_id: Option<u64>,
        /// The id of its span.
        span: [u8; 8],
    },
    /// A moment.
    Time {
        /// Which.
        activity: Activity,
        /// When.
        at: Instant,
    },
    /// A moment that a backend has named.
    Named {
        /// The backend's name for it.
        name: Box<str>,
        /// When.
        at: Instant,
    },
    /// A tensor.
    Tensor(Tensor),
    /// The request failed.
    Failed {
        /// The message of the error.
        message: Box<str>,
    },
}

/// A tensor of a request.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Where it was met.
    pub place: TensorPlace,
    /// The name of the input or output.
    pub name: Box<str>,
    /// The type of the elements.
    pub data_type: DataType,
    /// The shape.
    pub shape: Box<[i64]>,
    /// The elements in their wire form.
    pub data: Bytes,
}
