//! What a model itself says of which requests are executed together.

use std::fmt::Debug;

use crate::Request;

/// Decides which of the waiting requests that would fit into a batch join it. It is asked under the lock of the queue, and from the first
/// request on each time that the queue is looked through.
pub trait BatchStrategy: Send + Sync + Debug {
    /// Begins a batch with its first request, which is executed in any case.
    fn begin(&self, first: &Request) -> Box<dyn GrowingBatch + '_>;
}

/// A batch that grows.
pub trait GrowingBatch {
    /// Whether the next request joins the batch. If it does not, the batch is complete.
    fn admits(&mut self, next: &Request) -> bool;
}
