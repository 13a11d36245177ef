//! `repeat`: many responses for one request.

mod script;

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use hippocamp_backend::{
    Backend, BackendFacts, Batch, Delivery, Error, ExecutionTimes, FailureReason, InstanceSpec, Model,
    ModelInstance, ModelSource, NewInstance, OutputTensor, Request, Response, ResponseTimes, Result,
};
use hippocamp_model_config::{Interface, ModelConfig, config_value};
use hippocamp_tensor::{DataType, Shape, push_element};

use crate::FACTS;
use crate::answers::{AnswerThreads, sleep_while_wanted};
use script::{Script, Step};

/// Sends the elements of IN one by one, each after its DELAY; if the model has no DELAY, it counts up to IN.
#[derive(Debug)]
pub(crate) struct Repeat;

impl Backend for Repeat {
    fn name(&self) -> &'static str {
        "repeat"
    }

    fn facts(&self) -> BackendFacts {
        FACTS
    }

    fn load(&self, source: &ModelSource) -> Result<Box<dyn Model>> {
        Ok(Box::new(RepeatModel { name: Arc::clone(&source.name) }))
    }
}

struct RepeatModel {
    name: Arc<str>,
}

impl Model for RepeatModel {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, config: &ModelConfig) -> Result<()> {
        let wrong =
            |text: &str| Err(Error::invalid_arg(format!("unable to load model '{}', {text}", self.name)));
        if config.max_batch_size > 0 {
            return wrong("backend 'repeat' expects max_batch_size 0");
        }
        let inputs = config.input.iter().map(|i| (i.name.as_str(), i.data_type));
        let outputs = config.output.iter().map(|o| (o.name.as_str(), o.data_type));
        let tensors: Vec<_> = inputs.chain(outputs).collect();
        for (name, wanted) in [
            ("IN", DataType::Int32),
            ("DELAY", DataType::Uint32),
            ("WAIT", DataType::Uint32),
            ("OUT", DataType::Int32),
            ("IDX", DataType::Uint32),
            ("TEXT_OUT", DataType::Bytes),
        ] {
            let found = tensors.iter().find(|(n, _)| *n == name).map(|(_, data_type)| *data_type);
            let is_due = found.is_some() || ["IN", "OUT"].contains(&name);
            if is_due && found != Some(config_value(wanted)) {
                return wrong(&format!(
                    "backend 'repeat' expects '{name}' to be of {}",
                    wanted.config_name()
                ));
            }
        }
        Ok(())
    }

    fn new_instance(&self, spec: &InstanceSpec) -> Result<NewInstance> {
        let tensors = Tensors::of(&spec.interface);
        Ok(NewInstance::bound(RepeatInstance {
            model: Arc::clone(&self.name),
            tensors,
            threads: AnswerThreads::default(),
        }))
    }
}

/// The indices of the tensors among the model's inputs and outputs; `None` for those that the model does not have.
#[derive(Clone, Copy, Debug, Default)]
struct Tensors {
    input: Option<usize>,
    delay: Option<usize>,
    wait: Option<usize>,
    out: Option<usize>,
    index: Option<usize>,
    text: Option<usize>,
}

impl Tensors {
    fn of(interface: &Interface) -> Tensors {
        let input = |name: &str| interface.inputs.iter().position(|spec| &*spec.name == name);
        let output = |name: &str| interface.outputs.iter().position(|spec| &*spec.name == name);
        Tensors {
            input: input("IN"),
            delay: input("DELAY"),
            wait: input("WAIT"),
            out: output("OUT"),
            index: output("IDX"),
            text: output("TEXT_OUT"),
        }
    }

    /// The response of a step, with the requested outputs.
    fn respond(&self, request: &Request, step: &Step) -> Response {
        let mut response = Response::default();
        let mut text = Vec::new();
        push_element(&mut text, format!("tok{}", step.index).as_bytes());
        let mut outputs = [
            (self.out, Bytes::copy_from_slice(&step.value.to_le_bytes())),
            (self.index, Bytes::copy_from_slice(&step.index.to_le_bytes())),
            (self.text, text.into()),
        ];
        outputs.sort_by_key(|(index, _)| *index);
        for (index, data) in outputs {
            if let Some(index) = index.filter(|index| request.outputs.contains(*index)) {
                response.outputs.push(OutputTensor {
                    index,
                    shape: Shape::from([1]),
                    data: data.into(),
                    data_type: None,
                });
            }
        }
        response
    }
}

struct RepeatInstance {
    model: Arc<str>,
    tensors: Tensors,
    /// Threads that still send responses.
    threads: AnswerThreads,
}

impl ModelInstance for RepeatInstance {
    fn execute(&mut self, batch: &mut Batch) {
        for request in batch.drain(..) {
            match Script::of(&self.model, &self.tensors, &request) {
                Ok(script) => self.start(request, script),
                Err(error) => request.fail(error, FailureReason::Backend),
            }
        }
    }
}

impl RepeatInstance {
    fn start(&mut self, request: Request, script: Script) {
        let (tensors, wait) = (self.tensors, script.wait);
        if script.is_immediate() {
            return perform(request, &script, tensors);
        }
        if self.threads.start("repeat", move || perform(request, &script, tensors)) {
            thread::sleep(wait);
        }
    }
}

/// Sends the responses, each after its delay. Ends early if the client is gone.
fn perform(mut request: Request, script: &Script, tensors: Tensors) {
    let mut times = ExecutionTimes::now();
    let mut only = None;
    for step in &script.steps {
        let started = Instant::now();
        if !sleep_while_wanted(step.delay, &request) {
            let gone = Error::cancelled("the client is gone");
            let now = Instant::now();
            let times = ResponseTimes { started: now, output_begun: None, finished: now };
            return request.response.stop(gone, &times);
        }
        let output_begun = Some(Instant::now());
        let response = tensors.respond(&request, step);
        let response_times = ResponseTimes { started, output_begun, finished: Instant::now() };
        match request.response.delivery() {
            Delivery::Many => request.response.send_timed(response, &response_times),
            Delivery::Once => only = Some(response),
        }
    }
    times.outputs_begun = Instant::now();
    times.finished = times.outputs_begun;
    request.response.executed(1, &times);
    match only {
        Some(response) => request.succeed(response, &times),
        None => request.response.finish(request.queued, &times),
    }
}
