//! The wrapper that most backends run under: gather, compute, scatter.

use std::fmt::{self, Debug};
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use hippocamp_interface::Interface;
use hippocamp_tensor::Allocator;

use crate::{Gather, InputMemory, Inputs, Outputs};
use hippocamp_backend::wake_together;
use hippocamp_backend::{
    Batch, Error, ExecutionTimes, FailureReason, ModelInstance, Request, Response, Result, answer,
};

/// The computation of an instance, without gathering inputs and scattering outputs.
pub trait Compute {
    /// Runs the inputs of a whole batch into its outputs. Outputs that nobody asked for may be left out.
    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut Outputs) -> Result<()>;

    /// As [`run`](Compute::run), but may return while a device still works on the batch: what it returns waits for that, and the outputs
    /// are complete then. Meanwhile the next batch may be gathered and started, which the device has to execute behind it. By default
    /// it runs the batch.
    ///
    /// # Errors
    /// As for [`run`](Compute::run). What was started before is not concerned.
    fn start(&mut self, inputs: &Inputs<'_>, outputs: &mut Outputs) -> Result<Option<Started>> {
        self.run(inputs, outputs).map(|()| None)
    }

    /// Whether [`start`](Compute::start) would return soon for these inputs. If it has to prepare something first, the batch before
    /// is waited for and answered before that, as its requests would wait for the preparation otherwise. By default it would.
    fn starts_at_once(&mut self, inputs: &Inputs<'_>) -> bool {
        let _ = inputs;
        true
    }

    /// Checks a single request of a batch that [`run`](Compute::run) has refused: requests for which this fails are
    /// answered with its error, and the others are run without them. So it may only refuse what `run` refuses before it
    /// computes anything. By default it accepts every request, and a batch fails as a whole.
    fn takes(&self, request: &Request) -> Result<()> {
        let _ = request;
        Ok(())
    }

    /// The memory in which the input at that index has to be. By default it is host memory, gathered or a request's own.
    fn input_memory(&self, input: usize) -> InputMemory<'_> {
        let _ = input;
        InputMemory::default()
    }

    /// How many rows a batch of `rows` rows is executed with: the size of one of the instance's plans, see
    /// [`PlanSizes`](crate::PlanSizes::padded). What is missing is filled up when the inputs are gathered, and cut off the
    /// outputs. By default a batch is executed as it comes.
    fn padded_rows(&self, rows: usize) -> usize {
        rows
    }

    /// The pinned host memory through which outputs that are on a device reach the host. `None`, the default, for ordinary
    /// host memory, which takes longer.
    fn pinned_memory(&self) -> Option<&dyn Allocator> {
        None
    }
}

/// Waits for a batch that was [started](Compute::start).
pub type Started = Box<dyn FnOnce() -> Result<()> + Send>;

/// A batch that a device works on.
struct Begun {
    batch: Batch,
    outputs: Outputs,
    times: ExecutionTimes,
    work: Started,
}

impl Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Begun").field("batch", &self.batch).finish_non_exhaustive()
    }
}

/// Makes an instance of a [`Compute`]: assembles each batch, takes the times, and answers the requests.
#[derive(Debug)]
pub struct Batched<C> {
    /// Declared before the buffers, for which it may have prepared runs: it is dropped first.
    compute: C,
    interface: Arc<Interface>,
    gather: Gather,
    begun: Option<Begun>,
}

impl<C: Compute> Batched<C> {
    pub fn new(compute: C, interface: Arc<Interface>) -> Self {
        Batched::gathering(compute, interface, Gather::default())
    }

    /// With the buffers that inputs are gathered into.
    pub fn gathering(compute: C, interface: Arc<Interface>, gather: Gather) -> Self {
        Batched { compute, interface, gather, begun: None }
    }

    fn run(&mut self, batch: &Batch, times: &mut ExecutionTimes) -> Result<Vec<Response>> {
        let Batched { compute, interface, gather, .. } = self;
        let (outputs, ()) = computed((compute, interface, gather), batch, times, C::run)?;
        times.outputs_begun = Instant::now();
        outputs.scatter(&self.interface, batch, self.compute.pinned_memory())
    }

    /// Executes a batch, and answers it.
    fn execute_now(
        &mut self,
        batch: &mut Batch,
        mut times: ExecutionTimes,
        mut result: Result<Vec<Response>>,
    ) {
        if result.is_err() && self.sort_out(batch) {
            times = ExecutionTimes::now();
            result = self.run(batch, &mut times);
        }
        times.finished = Instant::now();
        answer_all(batch, result, &times);
    }
}

impl<C: Compute> Batched<C> {
    /// Fails the requests that [`Compute::takes`] refuses. Returns whether there were any and others remain. Does
    /// nothing for sequences, in which each request has its row.
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
        self.finish();
        let mut times = ExecutionTimes::starting(batch.started());
        let result = self.run(batch, &mut times);
        self.execute_now(batch, times, result);
    }

    fn begin(&mut self, batch: &mut Batch) {
        let mut times = ExecutionTimes::starting(batch.started());
        let Batched { compute, interface, gather, begun } = self;
        let mut free = None;
        let started =
            computed((compute, interface, gather), batch, &mut times, |compute, inputs, outputs| {
                if begun.is_some() && !compute.starts_at_once(inputs) {
                    free = begun.take().map(|before| complete(interface, compute, before));
                }
                compute.start(inputs, outputs)
            });
        if let Some(free) = free {
            times.inputs_ready = times.inputs_ready.max(free);
        }
        let before = begun.take();
        if let Ok((outputs, Some(work))) = started {
            // Held first: if answering the one before panics, both end with the instance.
            self.begun = Some(Begun { batch: mem::take(batch), outputs, times, work });
            let Some(before) = before else { return };
            let free = complete(&self.interface, &self.compute, before);
            if let Some(begun) = &mut self.begun {
                // Its device had the batch before until then.
                begun.times.inputs_ready = begun.times.inputs_ready.max(free);
            }
            return;
        }
        if let Some(before) = before {
            complete(&self.interface, &self.compute, before);
        }
        let result = started.and_then(|(outputs, _)| {
            times.outputs_begun = Instant::now();
            outputs.scatter(&self.interface, batch, self.compute.pinned_memory())
        });
        self.execute_now(batch, times, result);
    }

    fn has_begun(&self) -> bool {
        self.begun.is_some()
    }

    fn finish(&mut self) {
        if let Some(begun) = self.begun.take() {
            complete(&self.interface, &self.compute, begun);
        }
    }
}

/// Gathers the inputs of a batch and computes its outputs by `by`, whose result is returned.
fn computed<C: Compute, T>(
    (compute, interface, gather): (&mut C, &Interface, &mut Gather),
    batch: &Batch,
    times: &mut ExecutionTimes,
    by: impl FnOnce(&mut C, &Inputs<'_>, &mut Outputs) -> Result<T>,
) -> Result<(Outputs, T)> {
    let rows = compute.padded_rows(batch.iter().map(|request| request.batch_size).sum());
    let memory = |input| compute.input_memory(input);
    let gathered = gather.gather(interface, batch, rows, memory);
    let inputs = gathered.map_err(|error| Error::of_memory(&interface.model, error))?;
    let mut outputs = Outputs::for_batch(interface, batch, rows);
    times.inputs_ready = Instant::now();
    let result = by(compute, &inputs, &mut outputs)?;
    Ok((outputs, result))
}

/// Waits for a batch, and answers it. Returns when it was complete.
fn complete<C: Compute>(interface: &Interface, compute: &C, begun: Begun) -> Instant {
    let Begun { mut batch, outputs, mut times, work } = begun;
    let result = work().and_then(|()| {
        times.outputs_begun = Instant::now();
        outputs.scatter(interface, &batch, compute.pinned_memory())
    });
    times.finished = Instant::now();
    answer_all(&mut batch, result, &times);
    times.finished
}

/// Answers a batch with what came of its execution.
fn answer_all(batch: &mut Batch, result: Result<Vec<Response>>, times: &ExecutionTimes) {
    match result {
        Ok(responses) => answer(batch, responses, times),
        Err(error) => wake_together(batch.len(), || {
            for request in batch.drain(..) {
                request.fail(error.clone(), FailureReason::Backend);
            }
        }),
    }
}
