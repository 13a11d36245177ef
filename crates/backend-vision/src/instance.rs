//! An instance: splits requests into images, runs the steps for each image, and assembles the responses.

mod inputs;

use std::sync::Arc;
use std::time::Instant;

use hippocamp_backend::{
    Batch, Error, ExecutionTimes, FailureReason, ModelInstance, Request, Response, Result,
};
use hippocamp_model_config::Interface;
use hippocamp_tensor::Allocator;
use smallvec::SmallVec;

use crate::outputs::Output;
use crate::pipeline::{Bound, Pipeline};
use crate::replaced::{Replaced, ReplacedLog};
use crate::value::Values;
use inputs::Input;

pub(crate) struct VisionInstance {
    model: Arc<str>,
    /// The steps that the model's outputs depend on, with their numbers from 1.
    steps: Vec<(usize, Bound)>,
    values: Values,
    inputs: Vec<Input>,
    outputs: Vec<Output>,
    is_batched: bool,
    replaced: Arc<ReplacedLog>,
    /// What allocates memory for outputs that a device reads next.
    pinned: Option<Arc<dyn Allocator>>,
}

impl VisionInstance {
    pub(crate) fn new(
        model: &Arc<str>,
        pipeline: &Pipeline,
        interface: &Interface,
        replaced: &Arc<ReplacedLog>,
        pinned: Option<Arc<dyn Allocator>>,
    ) -> Result<Self> {
        let is_batched = interface.max_batch_size > 0;
        let inputs = pipeline.inputs.iter().map(|slot| Input::new(pipeline, *slot, interface));
        let outputs = interface.outputs.iter().enumerate();
        let outputs: Vec<Output> = outputs
            .map(|(index, spec)| Output::new(pipeline, index, spec, is_batched))
            .collect::<Result<_>>()?;
        let wanted: Vec<_> = outputs.iter().map(Output::slot).collect();
        let steps = pipeline.steps.iter().cloned().enumerate().zip(pipeline.needed_for(&wanted));
        Ok(VisionInstance {
            model: Arc::clone(model),
            steps: steps.filter(|(_, needed)| *needed).map(|((index, step), _)| (index + 1, step)).collect(),
            values: Values::new(pipeline.values.len()),
            inputs: inputs.collect::<Result<_>>()?,
            outputs,
            is_batched,
            replaced: Arc::clone(replaced),
            pinned,
        })
    }

    fn respond(&mut self, request: &Request) -> Result<Response> {
        if request.is_cancelled() {
            return Err(Error::cancelled(format!("the request to model '{}' was cancelled", self.model)));
        }
        let rows = request.batch_size;
        for input in &mut self.inputs {
            input.begin(request, self.is_batched).map_err(|error| {
                let text = format!("model '{}', input '{}': {}", self.model, input.name(), error.message());
                Error::new(error.code(), text)
            })?;
        }
        for output in &mut self.outputs {
            let place = request.outputs.place(output.index());
            output.begin(&mut self.values, rows, place, self.pinned.as_ref());
        }
        let mut replaced = Replaced::default();
        for row in 0..rows {
            // Discard what a failed request left behind.
            self.values.take_replaced();
            self.run(row).map_err(|(place, error)| {
                let picture =
                    if rows > 1 { format!(", picture {} of {rows}", row + 1) } else { String::new() };
                let text = format!("model '{}'{picture}, {place}: {}", self.model, error.message());
                Error::new(error.code(), text)
            })?;
            if let Some(reason) = self.values.take_replaced() {
                replaced.add(row, reason);
            }
        }
        let mut response = Response::default();
        replaced.report(&mut response.parameters, &self.replaced);
        for output in &mut self.outputs {
            response.outputs.extend(output.finish(&mut self.values, rows, self.is_batched));
        }
        Ok(response)
    }

    /// Processes one image. An error comes with the step in which it occurred.
    fn run(&mut self, row: usize) -> Result<(), (String, Error)> {
        for input in &mut self.inputs {
            input.set(row, &mut self.values).map_err(|error| (format!("input '{}'", input.name()), error))?;
        }
        for (number, bound) in &mut self.steps {
            let ran = bound.step.run(&mut self.values);
            ran.map_err(|error| (format!("step {number} '{}'", bound.op), error))?;
        }
        for output in &mut self.outputs {
            output.keep(&mut self.values).map_err(|error| (format!("output '{}'", output.name()), error))?;
        }
        Ok(())
    }
}

impl ModelInstance for VisionInstance {
    fn execute(&mut self, batch: &mut Batch) {
        let mut times = ExecutionTimes::starting(batch.started());
        let results: SmallVec<[Result<Response>; 8]> =
            batch.iter().map(|request| self.respond(request)).collect();
        // Outputs are assembled image by image, so that there is no separate phase for them.
        times.outputs_begun = Instant::now();
        times.finished = times.outputs_begun;
        let done = batch.iter().zip(&results).filter(|(_, result)| result.is_ok());
        let size: usize = done.map(|(request, _)| request.batch_size).sum();
        if size > 0
            && let Some(first) = batch.first()
        {
            first.response.executed(size, &times);
        }
        for (request, result) in batch.drain(..).zip(results) {
            match result {
                Ok(response) => request.succeed(response, &times),
                Err(error) if request.is_cancelled() => request.fail(error, FailureReason::Canceled),
                Err(error) => request.fail(error, FailureReason::Backend),
            }
        }
    }
}
