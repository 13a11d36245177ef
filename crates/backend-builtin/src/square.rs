//! `square`: for input n, n responses with the value n.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hippocamp_backend::{
    Backend, BackendFacts, Batch, Code, Delivery, Error, ExecutionTimes, FailureReason, InstanceSpec, Model,
    ModelInstance, ModelSource, NewInstance, OutputTensor, Request, Response, ResponseTimes, Result,
};
use hippocamp_model_config::{ModelConfig, config_value};
use hippocamp_tensor::{DataType, Shape};

use crate::FACTS;
use crate::answers::{AnswerThreads, check_count};
use crate::parameter::number;

/// Answers on threads of its own, so that requests overlap.
#[derive(Debug)]
pub(crate) struct Square;

impl Backend for Square {
    fn name(&self) -> &'static str {
        "square"
    }

    fn facts(&self) -> BackendFacts {
        FACTS
    }

    fn load(&self, source: &ModelSource) -> Result<Box<dyn Model>> {
        let read = |key| number(&source.name, &source.config, key);
        Ok(Box::new(SquareModel {
            name: Arc::clone(&source.name),
            custom: Custom {
                infer_delay: Duration::from_nanos(read("CUSTOM_INFER_DELAY_NS")?),
                output_delay: Duration::from_nanos(read("CUSTOM_OUTPUT_DELAY_NS")?),
                cancel_delay: Duration::from_nanos(read("CUSTOM_CANCEL_DELAY_NS")?),
                fail_count: read("CUSTOM_FAIL_COUNT")?,
                empty_count: read("CUSTOM_EMPTY_COUNT")?,
            },
        }))
    }
}

struct SquareModel {
    name: Arc<str>,
    custom: Custom,
}

/// Variations that a config can select.
#[derive(Clone, Copy, Debug, Default)]
struct Custom {
    infer_delay: Duration,
    output_delay: Duration,
    /// How long ending a cancelled request takes.
    cancel_delay: Duration,
    /// The number of responses before the empty ones that are errors.
    fail_count: u64,
    /// The number of empty responses at the end.
    empty_count: u64,
}

/// The kind of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Success,
    Fail,
    Empty,
}

impl Custom {
    fn kind(&self, index: u64, count: u64) -> Kind {
        if index.saturating_add(self.fail_count).saturating_add(self.empty_count) < count {
            Kind::Success
        } else if index.saturating_add(self.empty_count) < count {
            Kind::Fail
        } else {
            Kind::Empty
        }
    }
}

impl Model for SquareModel {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, config: &ModelConfig) -> Result<()> {
        let wrong = |text: String| Err(Error::invalid_arg(text));
        let [input] = config.input.as_slice() else {
            return wrong(format!("expected 1 input, got {}", config.input.len()));
        };
        let [output] = config.output.as_slice() else {
            return wrong(format!("expected 1 output, got {}", config.output.len()));
        };
        for (kind, expected, name, dims, data_type) in [
            ("input", "IN", &input.name, &input.dims, input.data_type),
            ("output", "OUT", &output.name, &output.dims, output.data_type),
        ] {
            if name != expected {
                return wrong(format!("expected first {kind} tensor name to be {expected}, got {name}"));
            }
            if dims != &[1] {
                let got = Shape::from(dims.as_slice());
                return wrong(format!("expected {expected} shape to be [1], got {got}"));
            }
            if data_type != config_value(DataType::Int32) {
                let got = hippocamp_model_config::data_type(data_type);
                let got = got.map_or("TYPE_INVALID", DataType::config_name);
                return wrong(format!("expected {expected} datatype to be INT32, got {got}"));
            }
        }
        Ok(())
    }

    fn new_instance(&self, _: &InstanceSpec) -> Result<NewInstance> {
        Ok(NewInstance::bound(SquareInstance {
            model: Arc::clone(&self.name),
            custom: self.custom,
            threads: AnswerThreads::default(),
        }))
    }
}

struct SquareInstance {
    model: Arc<str>,
    custom: Custom,
    threads: AnswerThreads,
}

impl ModelInstance for SquareInstance {
    fn execute(&mut self, batch: &mut Batch) {
        for request in batch.drain(..) {
            match Answer::of(&self.model, &request, self.custom) {
                Ok(answer) => drop(self.threads.start("square", move || answer.send_all(request))),
                Err(error) => request.fail(error, FailureReason::Backend),
            }
        }
    }
}

/// The responses of one request.
struct Answer {
    value: i32,
    count: u64,
    shape: Shape,
    custom: Custom,
}

impl Answer {
    fn of(model: &str, request: &Request, custom: Custom) -> Result<Answer> {
        let Some(input) = request.inputs.first().and_then(Option::as_ref) else {
            return Err(Error::invalid_arg(format!("model '{model}' expects input 'IN', got none")));
        };
        let content = input.data.to_host()?;
        let ([value], []) = content.as_chunks::<4>() else {
            return Err(Error::invalid_arg("unexpected shape for IN input"));
        };
        let value = i32::from_le_bytes(*value);
        // A negative number means no responses.
        let count = u64::try_from(value).unwrap_or(0);
        check_count(model, request, count as usize)?;
        Ok(Answer { value, count, shape: input.shape.clone(), custom })
    }

    /// Sends all responses. Checks between them whether the client is gone.
    fn send_all(self, mut request: Request) {
        let mut times = ExecutionTimes::now();
        for index in 0..self.count {
            let started = Instant::now();
            if request.is_cancelled() {
                thread::sleep(self.custom.cancel_delay);
                let times = ResponseTimes { started, output_begun: None, finished: Instant::now() };
                return request.response.stop(Error::cancelled("the client is gone"), &times);
            }
            thread::sleep(self.custom.infer_delay);
            let kind = self.custom.kind(index, self.count);
            let mut response_times = ResponseTimes { started, output_begun: None, finished: started };
            if kind != Kind::Empty {
                response_times.output_begun = Some(Instant::now());
                thread::sleep(self.custom.output_delay);
            }
            response_times.finished = Instant::now();
            if request.response.delivery() == Delivery::Once {
                return self.send_one(request, kind, times, &response_times);
            }
            match kind {
                Kind::Success => request.response.send_timed(self.response(&request), &response_times),
                Kind::Fail => request.response.send_error(failure(), &response_times),
                Kind::Empty => request.response.skip(&response_times),
            }
        }
        times.outputs_begun = Instant::now();
        times.finished = times.outputs_begun;
        request.response.executed(1, &times);
        request.response.finish(request.queued, &times);
    }

    /// Sends the single response of a model that is not decoupled.
    fn send_one(
        &self,
        request: Request,
        kind: Kind,
        mut times: ExecutionTimes,
        response_times: &ResponseTimes,
    ) {
        times.outputs_begun = response_times.output_begun.unwrap_or(response_times.finished);
        times.finished = response_times.finished;
        if kind == Kind::Success {
            let response = self.response(&request);
            request.response.executed(1, &times);
            request.succeed(response, &times);
        } else {
            request.fail(failure(), FailureReason::Backend);
        }
    }

    fn response(&self, request: &Request) -> Response {
        let mut response = Response::default();
        if request.outputs.contains(0) {
            let data = Bytes::copy_from_slice(&self.value.to_le_bytes()).into();
            response.outputs.push(OutputTensor {
                index: 0,
                shape: self.shape.clone(),
                data,
                data_type: None,
            });
        }
        response
    }
}

fn failure() -> Error {
    Error::new(Code::Unknown, "simulated failure")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_responses_are_empty_and_those_before_them_fail() {
        let custom = Custom { fail_count: 2, empty_count: 1, ..Custom::default() };
        let kinds = |count| (0..count).map(|index| custom.kind(index, count)).collect::<Vec<_>>();
        assert_eq!(kinds(5), [Kind::Success, Kind::Success, Kind::Fail, Kind::Fail, Kind::Empty]);
        assert_eq!(kinds(2), [Kind::Fail, Kind::Empty]);
        assert_eq!(kinds(1), [Kind::Empty]);
    }
}
