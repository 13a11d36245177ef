//! The wrapper that most backends run under: gather, compute, scatter.

use std::sync::Arc;
use std::time::Instant;

use hippocamp_interface::Interface;
use hippocamp_tensor::Allocator;

use crate::{Gather, Inputs, Outputs};
use hippocamp_backend::wake_together;
use hippocamp_backend::{
    Batch, Error, ExecutionTimes, FailureReason, ModelInstance, Request, Response, Result, count_execution,
};

/// What remains of an instance when gathering and scattering are done for it.
pub trait Compute {
    /// Runs the inputs of a whole batch into its outputs. Outputs that nobody asked for may be left out.
    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut Outputs) -> Result<()>;

    /// Whether it takes what this request brings. Asked of each request of a batch that [`run`](Compute::run) has refused:
    /// those that are not taken fail by themselves, and the others are run without them. So it may only refuse what `run`
    /// refuses before it does anything else. By default every request is taken, and a batch fails as a whole.
    fn takes(&self, request: &Request) -> Result<()> {
        let _ = request;
        Ok(())
    }

    /// Where it wants the input at that place of the model's list: what makes buffers there. `None`, as by default, is host
    /// memory.
    fn input_memory(&self, input: usize) -> Option<&dyn Allocator> {
        let _ = input;
        None
    }
}

/// Makes an instance of a [`Compute`]: assembles each batch, takes the times, and answers the requests.
#[derive(Debug)]
pub struct Batched<C> {
    compute: C,
    interface: Arc<Interface>,
    gather: Gather,
}

impl<C: Compute> Batched<C> {
    pub fn new(compute: C, interface: Arc<Interface>) -> Self {
        Batched { compute, interface, gather: Gather::default() }
    }

    fn run(&mut self, batch: &Batch, times: &mut ExecutionTimes) -> Result<Vec<Response>> {
        let gathered = self.gather.gather(&self.interface, batch, |input| self.compute.input_memory(input));
        let inputs = gathered.map_err(|error| Error::of_memory(&self.interface.model, error))?;
        let mut outputs = Outputs::for_batch(&self.interface, batch);
        times.inputs_ready = Instant::now();
        self.compute.run(&inputs, &mut outputs)?;
        times.outputs_begun = Instant::now();
        outputs.scatter(&self.interface, batch)
    }
}

impl<C: Compute> Batched<C> {
    /// Answers the requests that are not taken with what is wrong with them. Tells whether there were any, and others are left.
    /// Not in sequences, where each request has its row.
    #[cold]
    fn sort_out(&self, batch: &mut Batch) -> bool {
        let has_rows = |request: &Request| request.sequence.is_some() || request.is_null();
        if batch.len() < 2 || batch.iter().any(has_rows) {
            return false;
        }
        let before = batch.len();
        for request in std::mem::take(batch) {
            match self.compute.takes(&request) {
                Ok(()) => batch.push(request),
                Err(error) => request.fail(error, FailureReason::Backend),
            }
        }
        (1..before).contains(&batch.len())
    }
}

impl<C: Compute> ModelInstance for Batched<C> {
    fn execute(&mut self, batch: &mut Batch) {
        let mut times = ExecutionTimes::starting(batch.started());
        let mut result = self.run(batch, &mut times);
        if result.is_err() && self.sort_out(batch) {
            times = ExecutionTimes::now();
            result = self.run(batch, &mut times);
        }
        times.finished = Instant::now();
        match result {
            Ok(responses) => {
                count_execution(batch, &times);
                wake_together(batch.len(), || {
                    for (request, response) in batch.drain(..).zip(responses) {
                        request.succeed(response, &times);
                    }
                });
            }
            Err(error) => wake_together(batch.len(), || {
                for request in batch.drain(..) {
                    request.fail(error.clone(), FailureReason::Backend);
                }
            }),
        }
    }
}
