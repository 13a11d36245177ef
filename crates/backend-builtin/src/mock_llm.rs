//! `mock_llm`: a language model that repeats its prompt.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hippocamp_backend::{
    Backend, BackendFacts, Batch, Delivery, Error, ExecutionTimes, FailureReason, InstanceSpec, Model,
    ModelInstance, ModelSource, NewInstance, OutputTensor, ParameterValue, Request, Response, ResponseTimes,
    Result,
};
use hippocamp_model_config::{Interface, ModelConfig, config_value};
use hippocamp_tensor::{DataType, Shape};

use crate::FACTS;
use crate::answers::{check_count, sleep_while_wanted};

/// Answers with the prompt, once or as a stream. Parameters of the request determine count, delay and end.
#[derive(Debug)]
pub(crate) struct MockLlm;

impl Backend for MockLlm {
    fn name(&self) -> &'static str {
        "mock_llm"
    }

    fn facts(&self) -> BackendFacts {
        FACTS
    }

    fn load(&self, source: &ModelSource) -> Result<Box<dyn Model>> {
        Ok(Box::new(MockLlmModel { name: Arc::clone(&source.name) }))
    }
}

struct MockLlmModel {
    name: Arc<str>,
}

impl Model for MockLlmModel {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, config: &ModelConfig) -> Result<()> {
        let inputs = config.input.iter().map(|i| (i.name.as_str(), i.data_type));
        let outputs = config.output.iter().map(|o| (o.name.as_str(), o.data_type));
        let tensors: Vec<_> = inputs.chain(outputs).collect();
        for (name, wanted, is_due) in [
            ("PROMPT", DataType::Bytes, true),
            ("STREAM", DataType::Bool, false),
            ("TEXT", DataType::Bytes, true),
        ] {
            let found = tensors.iter().find(|(n, _)| *n == name).map(|(_, data_type)| *data_type);
            if (is_due || found.is_some()) && found != Some(config_value(wanted)) {
                return Err(Error::invalid_arg(format!(
                    "unable to load model '{}', backend 'mock_llm' expects '{name}' to be of {}",
                    self.name,
                    wanted.config_name()
                )));
            }
        }
        Ok(())
    }

    fn new_instance(&self, spec: &InstanceSpec) -> Result<NewInstance> {
        let interface = &spec.interface;
        let input = |name: &str| interface.inputs.iter().position(|spec| &*spec.name == name);
        let text = interface.outputs.iter().position(|spec| &*spec.name == "TEXT");
        let (Some(prompt), Some(text)) = (input("PROMPT"), text) else {
            return Err(Error::internal(format!("model '{}' has no PROMPT or no TEXT", self.name)));
        };
        let model = Arc::clone(&self.name);
        let interface = Arc::clone(interface);
        Ok(NewInstance::bound(MockLlmInstance { model, interface, prompt, stream: input("STREAM"), text }))
    }
}

struct MockLlmInstance {
    model: Arc<str>,
    interface: Arc<Interface>,
    /// The indices of the tensors among the model's inputs and outputs.
    prompt: usize,
    stream: Option<usize>,
    text: usize,
}

/// The parameters of a request.
#[derive(Debug)]
struct Options {
    /// The number of responses before an empty final one; `None` for one response that is the final one.
    repetitions: Option<usize>,
    delay: Duration,
    fail_last: bool,
    text: (Shape, Bytes),
}

impl ModelInstance for MockLlmInstance {
    fn execute(&mut self, batch: &mut Batch) {
        for request in batch.drain(..) {
            match self.options(&request) {
                Ok(options) => self.answer(request, &options),
                Err(error) => request.fail(error, FailureReason::Backend),
            }
        }
    }
}

impl MockLlmInstance {
    fn options(&self, request: &Request) -> Result<Options> {
        let given = |index: usize| request.inputs.get(index).and_then(Option::as_ref);
        let Some(prompt) = given(self.prompt) else {
            let model = &self.model;
            return Err(Error::invalid_arg(format!("model '{model}' expects input 'PROMPT', got none")));
        };
        let stream = self.stream.and_then(given).map(|stream| stream.data.to_host()).transpose()?;
        let stream = stream.is_some_and(|bytes| bytes.first().is_some_and(|byte| *byte != 0));
        let repetitions = self.number(request, "REPETITION")?.unwrap_or(1.0).max(0.0) as usize;
        let delay = self.number(request, "DELAY")?.unwrap_or(0.0);
        let delay = Duration::try_from_secs_f64(delay.max(0.0)).unwrap_or(Duration::MAX);
        let mut text = (prompt.shape.clone(), prompt.data.to_host()?);
        if self.flag(request, "OUTPUT_0_DIM")? {
            let rank = text.0.len();
            let shape = text.0.iter().enumerate();
            text = (shape.map(|(i, &d)| if i + 1 == rank { 0 } else { d }).collect(), Bytes::new());
        }
        let repetitions = stream.then_some(repetitions);
        check_count(&self.model, request, repetitions.unwrap_or(1))?;
        Ok(Options { repetitions, delay, fail_last: self.flag(request, "FAIL_LAST")?, text })
    }

    /// Sends all responses of a request. The instance is busy meanwhile.
    fn answer(&self, mut request: Request, options: &Options) {
        let mut times = ExecutionTimes::now();
        for _ in 0..options.repetitions.unwrap_or(0) {
            let started = Instant::now();
            if !sleep_while_wanted(options.delay, &request) {
                let now = Instant::now();
                let times = ResponseTimes { started: now, output_begun: None, finished: now };
                return request.response.stop(Error::cancelled("the client is gone"), &times);
            }
            let output_begun = Some(Instant::now());
            let response = self.response(&request, options);
            let response_times = ResponseTimes { started, output_begun, finished: Instant::now() };
            if request.response.delivery() == Delivery::Once {
                break;
            }
            request.response.send_timed(response, &response_times);
        }
        if options.fail_last {
            return request.fail(Error::internal("An Error Occurred"), FailureReason::Backend);
        }
        times.outputs_begun = Instant::now();
        let response = self.response(&request, options);
        times.finished = Instant::now();
        let rows = if self.interface.max_batch_size > 0 { request.batch_size } else { 1 };
        request.response.executed(rows, &times);
        if options.repetitions.is_some() && request.response.delivery() == Delivery::Many {
            request.response.finish(request.queued, &times);
        } else {
            request.succeed(response, &times);
        }
    }

    fn response(&self, request: &Request, options: &Options) -> Response {
        let mut response = Response::default();
        if request.outputs.contains(self.text) {
            let (shape, data) = options.text.clone();
            response.outputs.push(OutputTensor {
                index: self.text,
                shape,
                data: data.into(),
                data_type: None,
            });
        }
        response
    }

    fn number(&self, request: &Request, name: &str) -> Result<Option<f64>> {
        let Some(value) = request.parameters.get(name) else { return Ok(None) };
        let number = match value {
            ParameterValue::Int64(value) => Some(*value as f64),
            ParameterValue::Uint64(value) => Some(*value as f64),
            ParameterValue::Double(value) => Some(*value),
            ParameterValue::String(text) => text.trim().parse().ok(),
            ParameterValue::Bool(_) => None,
        };
        match number.filter(|number: &f64| number.is_finite()) {
            Some(number) => Ok(Some(number)),
            None => Err(self.bad_parameter(name, "a number", value)),
        }
    }

    fn flag(&self, request: &Request, name: &str) -> Result<bool> {
        match request.parameters.get(name) {
            None => Ok(false),
            Some(ParameterValue::Bool(flag)) => Ok(*flag),
            Some(ParameterValue::Int64(number)) => Ok(*number != 0),
            Some(ParameterValue::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(ParameterValue::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(value) => Err(self.bad_parameter(name, "true or false", value)),
        }
    }

    #[cold]
    fn bad_parameter(&self, name: &str, expected: &str, got: &ParameterValue) -> Error {
        let model = &self.model;
        Error::invalid_arg(format!(
            "parameter '{name}' of a request to model '{model}' was expected to be {expected}, got {got:?}"
        ))
    }
}
