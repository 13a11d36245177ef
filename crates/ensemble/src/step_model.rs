//! What an ensemble has to know of the model of a step.

use std::fmt::Debug;
use std::sync::Arc;

use hippocamp_backend::{InputTensor, ModelStatistics, Request, Result};
use hippocamp_model_config::Interface;

/// A loaded version of a model that a step runs; it may be an ensemble itself. Whoever holds it keeps it loaded.
pub trait StepModel: Send + Sync + Debug {
    fn name(&self) -> &str;

    fn interface(&self) -> &Interface;

    /// Where a step's request is counted.
    fn statistics(&self) -> &Arc<ModelStatistics>;

    /// Tells the name of every model whose instances run for a request: its own, or for an ensemble those of its steps.
    fn visit_executing(&self, visit: &mut dyn FnMut(&str));

    /// Checks what a step is about to get, in the order of the model's inputs, as a client's request is checked. `id`
    /// is the client's. Returns the batch size; 1 for a model without a batch dimension.
    fn check(&self, id: &str, inputs: &[Option<InputTensor>]) -> Result<usize>;

    /// Queues a request that was checked, and returns at once. Its answer comes on its own sender.
    fn enqueue(&self, request: Request);
}
