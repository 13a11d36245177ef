//! The interface between an ensemble and the models of its steps.

use std::fmt::Debug;
use std::sync::Arc;

use hippocamp_backend::{Error, InputTensor, Observers, Request, Result};
use hippocamp_model_config::Interface;
use hippocamp_tensor::Place;

/// A loaded model version that a step runs; it may be an ensemble. It stays loaded as long as it is held.
pub trait StepModel: Send + Sync + Debug {
    fn name(&self) -> &str;

    fn interface(&self) -> &Interface;

    /// Where the input at that place of the model's list is read best: on a device if all instances are on that one, in pinned
    /// memory if some are on devices, otherwise in host memory. It may be anywhere.
    fn input_place(&self, input: usize) -> Place {
        let _ = input;
        Place::Host
    }

    /// Whether its requests belong to sequences, whose state is kept between them.
    fn has_sequences(&self) -> bool {
        false
    }

    /// Why the model cannot execute at this time, although it serves; `None`, the default, if it can.
    fn lost(&self) -> Option<Error> {
        None
    }

    /// Who is told of a step's request.
    fn observers(&self) -> &Arc<Observers>;

    /// Calls `visit` with the name of each model whose instances run for a request: its own name, or for an ensemble
    /// the models of its steps.
    fn visit_executing(&self, visit: &mut dyn FnMut(&str));

    /// Checks a step's inputs, in the order of the model's inputs, like those of a client's request. `id` is the
    /// client's request id. Returns the batch size; 1 for a model without a batch dimension.
    fn check(&self, id: &str, inputs: &[Option<InputTensor>]) -> Result<usize>;

    /// Queues a request that was checked, and returns at once. Responses go to the request's own sender.
    fn enqueue(&self, request: Request);
}
