//! `sequence` and `dyna_sequence`: running sums over the requests of a sequence.

mod accumulator;
mod tensors;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hippocamp_backend::{
    Backend, BackendFacts, Batch, Error, ExecutionTimes, FailureReason, InstanceSpec, Model, ModelInstance,
    ModelSource, NewInstance, OutputTensor, Request, Response, Result, count_execution,
};
use hippocamp_model_config::ModelConfig;

use crate::FACTS;
use crate::parameter::number;
use accumulator::Accumulators;
use tensors::Tensors;

/// What a sum belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Each row of the batch has a sum: for the direct strategy.
    BySlot,
    /// Each correlation id has a sum, and END adds the id to it: for the oldest strategy.
    ByCorrelationId,
}

/// Sums up the inputs of each sequence. Every element of OUTPUT is the sum so far.
#[derive(Debug)]
pub(crate) struct SequenceSum(Kind);

impl SequenceSum {
    /// The backend `sequence`.
    pub(crate) fn by_slot() -> SequenceSum {
        SequenceSum(Kind::BySlot)
    }

    /// The backend `dyna_sequence`.
    pub(crate) fn by_correlation_id() -> SequenceSum {
        SequenceSum(Kind::ByCorrelationId)
    }
}

impl Backend for SequenceSum {
    fn name(&self) -> &'static str {
        match self.0 {
            Kind::BySlot => "sequence",
            Kind::ByCorrelationId => "dyna_sequence",
        }
    }

    fn facts(&self) -> BackendFacts {
        FACTS
    }

    fn load(&self, source: &ModelSource) -> Result<Box<dyn Model>> {
        let (name, config) = (&*source.name, &*source.config);
        Ok(Box::new(SequenceSumModel {
            name: Arc::clone(&source.name),
            kind: self.0,
            execute_delay: Duration::from_millis(number(name, config, "execute_delay_ms")?),
        }))
    }
}

struct SequenceSumModel {
    name: Arc<str>,
    kind: Kind,
    execute_delay: Duration,
}

impl Model for SequenceSumModel {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, config: &ModelConfig) -> Result<()> {
        tensors::check(self.kind, config)
            .map_err(|text| Error::invalid_arg(format!("unable to load model '{}', {text}", self.name)))
    }

    fn new_instance(&self, spec: &InstanceSpec) -> Result<NewInstance> {
        Ok(NewInstance::bound(SequenceSumInstance {
            tensors: Tensors::of(&spec.config, &spec.interface),
            accumulators: Accumulators::new(self.kind),
            execute_delay: self.execute_delay,
        }))
    }
}

struct SequenceSumInstance {
    tensors: Tensors,
    accumulators: Accumulators,
    execute_delay: Duration,
}

impl ModelInstance for SequenceSumInstance {
    fn execute(&mut self, batch: &mut Batch) {
        let mut times = ExecutionTimes::starting(batch.started());
        thread::sleep(self.execute_delay);
        times.outputs_begun = Instant::now();
        let answer = |(row, request)| self.answer(row, request);
        let responses: Vec<_> = batch.iter().enumerate().map(answer).collect();
        times.finished = Instant::now();
        count_execution(batch, &times);
        for (request, response) in batch.drain(..).zip(responses) {
            match response {
                Ok(response) => request.succeed(response, &times),
                Err(error) => request.fail(error, FailureReason::Backend),
            }
        }
    }
}

impl SequenceSumInstance {
    /// Adds a request to its sum.
    fn answer(&mut self, row: usize, request: &Request) -> Result<Response> {
        let mut response = Response::default();
        let Some(step) = self.tensors.step(request)? else { return Ok(response) };
        let sum = self.accumulators.add(row, &step)?;
        if request.outputs.contains(0) {
            let data: Vec<u8> =
                std::iter::repeat_n(sum.to_le_bytes(), step.elements.len()).flatten().collect();
            response.outputs.push(OutputTensor {
                index: 0,
                shape: step.shape,
                data: Bytes::from(data).into(),
                data_type: None,
            });
        }
        Ok(response)
    }
}
