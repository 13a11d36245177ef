//! `identity`: every output equals the input of the same number.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hippocamp_backend::{
    Backend, BackendFacts, Batch, CorrelationId, Error, ExecutionTimes, FailureReason, InstanceSpec, Model,
    ModelInstance, ModelSource, MovableInstance, NewInstance, OutputTensor, ParameterValue, Parameters,
    Request, Response, Result, Sequence, answer_as, wake_together,
};
use hippocamp_model_config::{Interface, ModelConfig, TensorSpec};
use hippocamp_proto::inference::ModelTensorReshape;
use hippocamp_tensor::{LENGTH_PREFIX, Shape, TensorData};
use smallvec::SmallVec;

use crate::FACTS;
use crate::parameter::number;

/// Returns INPUT*n* as OUTPUT*n*; the output shares the input's bytes, wherever they are.
#[derive(Debug)]
pub(crate) struct Identity;

impl Backend for Identity {
    fn name(&self) -> &'static str {
        "identity"
    }

    fn facts(&self) -> BackendFacts {
        FACTS
    }

    fn load(&self, source: &ModelSource) -> Result<Box<dyn Model>> {
        let (name, config) = (&*source.name, &*source.config);
        Ok(Box::new(IdentityModel {
            name: Arc::clone(&source.name),
            execute_delay: Duration::from_millis(number(name, config, "execute_delay_ms")?),
            delay_multiplier: number(name, config, "instance_wise_delay_multiplier")?,
            creation_delay: Duration::from_secs(number(name, config, "creation_delay_sec")?),
        }))
    }
}

struct IdentityModel {
    name: Arc<str>,
    execute_delay: Duration,
    /// The delay of an instance is multiplied by this times the index of the instance, at least by 1.
    delay_multiplier: u64,
    creation_delay: Duration,
}

impl Model for IdentityModel {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, config: &ModelConfig) -> Result<()> {
        let wrong =
            |text: String| Err(Error::invalid_arg(format!("unable to load model '{}', {text}", self.name)));
        if config.input.len() != config.output.len() {
            let (inputs, outputs) = (config.input.len(), config.output.len());
            return wrong(format!(
                "it was expected to have as many outputs as inputs, got {inputs} and {outputs}"
            ));
        }
        for output in &config.output {
            let name = &output.name;
            let input = input_name(name).and_then(|wanted| config.input.iter().find(|i| i.name == wanted));
            let Some(input) = input else {
                return wrong(format!(
                    "an output OUTPUTn was expected to have an input INPUTn, '{name}' has none"
                ));
            };
            // Dims as the model sees them count, after reshaping.
            let given = model_dims(&input.dims, input.reshape.as_ref());
            let made = model_dims(&output.dims, output.reshape.as_ref());
            if (input.data_type, given) != (output.data_type, made) {
                return wrong(format!(
                    "'{}' and '{name}' were expected to have the same type and dims, got {} and {}",
                    input.name,
                    Shape::from(given),
                    Shape::from(made)
                ));
            }
        }
        Ok(())
    }

    fn new_instance(&self, spec: &InstanceSpec) -> Result<NewInstance> {
        let instance = self.instance(spec)?;
        // Not inline if it sleeps: that would delay everything else on the thread.
        Ok(if self.execute_delay.is_zero() {
            NewInstance::movable(instance)
        } else {
            NewInstance::bound(instance)
        })
    }

    fn extra_instance(&self, spec: &InstanceSpec) -> Option<MovableInstance> {
        let is_quick = self.execute_delay.is_zero() && self.creation_delay.is_zero();
        let instance = is_quick.then(|| self.instance(spec))?;
        Some(Box::new(instance.ok()?))
    }
}

impl IdentityModel {
    fn instance(&self, spec: &InstanceSpec) -> Result<IdentityInstance> {
        thread::sleep(self.creation_delay);
        let factor = self.delay_multiplier.saturating_mul(spec.index as u64).max(1);
        let interface = Arc::clone(&spec.interface);
        let source = |output: &TensorSpec| {
            let wanted = input_name(&output.name)?;
            interface.inputs.iter().position(|input| *input.name == *wanted)
        };
        let sources: Option<Vec<usize>> = interface.outputs.iter().map(source).collect();
        Ok(IdentityInstance {
            sources: sources.ok_or_else(|| {
                Error::internal(format!("model '{}' has an output without an input", self.name))
            })?,
            delay: self.execute_delay.saturating_mul(u32::try_from(factor).unwrap_or(u32::MAX)),
            parameters: response_parameters(),
            interface,
        })
    }
}

/// The dims of a tensor as the model sees it.
fn model_dims<'a>(dims: &'a [i64], reshape: Option<&'a ModelTensorReshape>) -> &'a [i64] {
    reshape.map_or(dims, |reshape| &reshape.shape)
}

/// The name of the input that an output copies.
fn input_name(output: &str) -> Option<String> {
    Some(format!("INPUT{}", output.strip_prefix("OUTPUT")?))
}

/// Parameters of every response, for tests of clients.
fn response_parameters() -> Parameters {
    let mut parameters = Parameters::default();
    parameters.set("param0", ParameterValue::String("an example string parameter".into()));
    parameters.set("param1", ParameterValue::Int64(42));
    parameters.set("param2", ParameterValue::Bool(false));
    parameters.set("param3", ParameterValue::Double(123.123));
    parameters
}

struct IdentityInstance {
    interface: Arc<Interface>,
    /// The index of each output's input.
    sources: Vec<usize>,
    delay: Duration,
    parameters: Parameters,
}

impl ModelInstance for IdentityInstance {
    fn execute(&mut self, batch: &mut Batch) {
        let mut times = ExecutionTimes::starting(batch.started());
        thread::sleep(self.delay);
        times.outputs_begun = Instant::now();
        let responses = batch.iter().map(|request| self.respond(request));
        let responses: Result<SmallVec<[Response; 1]>> = responses.collect();
        times.finished = Instant::now();
        // As in Triton's identity, batch sizes only count if there is a batch dimension.
        let batched = self.interface.max_batch_size > 0;
        let size: usize = if batched { batch.iter().map(|r| r.batch_size).sum() } else { 0 };
        match responses {
            Ok(responses) => answer_as(batch, size, responses, &times),
            Err(_) => self.answer_each(batch, size, &times),
        }
    }
}

impl IdentityInstance {
    /// Answers a batch of which some requests fail.
    #[cold]
    fn answer_each(&self, batch: &mut Batch, size: usize, times: &ExecutionTimes) {
        if let Some(first) = batch.first() {
            let nulls = batch.iter().filter(|request| request.is_null()).count();
            first.response.executed_rows(size, size.saturating_sub(nulls), times);
        }
        wake_together(batch.len(), || {
            for request in batch.drain(..) {
                match self.respond(&request) {
                    Ok(response) => request.succeed(response, times),
                    Err(error) => request.fail(error, FailureReason::Backend),
                }
            }
        });
    }

    fn respond(&self, request: &Request) -> Result<Response> {
        if let Some(Sequence { correlation_id: CorrelationId::Text(_), .. }) = &request.sequence {
            // Triton's identity logs the id as a number, and fails if there is none.
            let id = request.shown_id();
            return Err(Error::invalid_arg(format!(
                "[request id: {id}] correlation ID in request is not an unsigned int"
            )));
        }
        let mut response = Response { parameters: self.parameters.clone(), ..Response::default() };
        for (index, &source) in self.sources.iter().enumerate() {
            if !request.outputs.contains(index) {
                continue;
            }
            let (shape, data) = match request.inputs.get(source).and_then(Option::as_ref) {
                Some(input) => (input.shape.clone(), input.data.clone()),
                None => zeros(&self.interface, &self.interface.inputs[source], request.batch_size)?,
            };
            response.outputs.push(OutputTensor { index, shape, data, data_type: None });
        }
        Ok(response)
    }
}

/// The value of an input that was left out: zeros, or empty strings. Variable dimensions become 1.
fn zeros(interface: &Interface, spec: &TensorSpec, rows: usize) -> Result<(Shape, TensorData)> {
    let inner = spec.dims.iter().map(|&d| if d == -1 { 1 } else { d });
    let shape: Shape = if interface.max_batch_size > 0 {
        std::iter::once(rows as i64).chain(inner).collect()
    } else {
        inner.collect()
    };
    let element = spec.data_type.byte_size().unwrap_or(LENGTH_PREFIX);
    let size = shape.element_count().and_then(|count| count.checked_mul(element));
    let mut data = Vec::new();
    let fits = size.is_some_and(|size| data.try_reserve_exact(size).is_ok());
    if !fits {
        return Err(Error::internal(format!(
            "there is no memory for input '{}' of shape {shape}",
            spec.name
        )));
    }
    data.resize(size.unwrap_or(0), 0);
    Ok((shape, Bytes::from(data).into()))
}
