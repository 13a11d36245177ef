//! The call by which every protocol submits its requests to models.
//!
//! [`accept`] finds the model when the head of a request is known; [`Accepted::submit`] submits the request when its content
//! is known. In between, a protocol reads the body, if it does not have the whole message already.

use std::sync::Arc;

use hippocamp_backend::{Error, Parameters, ResponseReceiver, ResponseSink, Result, Sequence, Use, Uses};
use hippocamp_shm::SharedMemory;

use crate::sequence::begin_use;
use crate::{InferRequest, LoadedModel, ModelRef, Models, Origin, OutputPlan};

/// The number of responses to one request that a protocol can send.
#[derive(Clone, Copy, Debug)]
pub enum Responses {
    /// Any number of responses.
    Any,
    /// Exactly one. A decoupled model, which may send any number, is refused with this text.
    One {
        /// The text of the error, as the protocol's clients know it.
        refusal: &'static str,
    },
}

/// What the caller does after a request is queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The caller waits for the responses at once. The wake-up of an instance may be deferred until then, so that more
    /// requests join the batch.
    Wait,
    /// The caller does something else first.
    Continue,
}

/// Finds the model for a request: the given version, or with `None` the highest that serves. If there is none, the model is
/// loaded if it is loaded lazily, or a draining version is returned, because the request may belong to a sequence on it.
///
/// The future waits only while a model is loaded for the request.
///
/// # Errors
/// `NotFound` or `Unavailable`: why no version serves, or that of the load.
pub async fn accept(
    models: &impl Models,
    name: &str,
    version: Option<u64>,
    responses: Responses,
) -> Result<Accepted> {
    let draining = || models.draining(name, version).map(ModelRef::from);
    let found = models.serving(name, version).or_else(|error| draining().ok_or(error));
    let model = match found {
        Ok(model) => model,
        Err(error) => models.load_for_request(name, version, error).await?.into(),
    };
    match responses {
        Responses::One { refusal } if model.interface.decoupled => Err(Error::unsupported(refusal)),
        _ => Ok(Accepted { model, version, origin: Origin::default(), parameters: None }),
    }
}

/// A request whose model was found and whose content is not decoded yet.
#[derive(Debug)]
pub struct Accepted {
    model: ModelRef,
    version: Option<u64>,
    origin: Origin,
    /// See [`Accepted::with_parameters`].
    parameters: Option<Box<Parameters>>,
}

/// A request in a protocol's encoding. It is decoded after its version is chosen.
pub trait IncomingRequest {
    /// The sequence that the request belongs to, if any.
    fn sequence(&self) -> Option<&Sequence>;

    /// Decodes the content. Registers inputs in shared memory and the wanted form of the outputs with `outputs`. It is
    /// called once. What is known of the call need not be filled in: it was given to [`Accepted::of`].
    fn decode<'a>(
        &'a mut self,
        model: &'a LoadedModel,
        memory: &SharedMemory,
        outputs: &mut OutputPlan,
    ) -> Result<InferRequest<'a>>;
}

impl Accepted {
    /// The model whose inputs and outputs the request may use. The request may still go to another version, if that has the
    /// state of its sequence.
    pub fn model(&self) -> &Arc<LoadedModel> {
        &self.model
    }

    /// The same, with what is known of the call that it came by.
    #[must_use]
    pub fn of(self, origin: Origin) -> Accepted {
        Accepted { origin, ..self }
    }

    /// The same, with parameters that did not come with the request itself. They win over the request's own.
    #[must_use]
    pub fn with_parameters(self, parameters: Option<Box<Parameters>>) -> Accepted {
        Accepted { parameters, ..self }
    }

    /// Whether every byte of the request is read to look it up in the response cache, by the thread that submits it.
    pub fn is_digested(&self) -> bool {
        self.model.cache.is_some()
    }

    /// Decodes, checks and queues a request. A request that takes only microseconds may be executed inline. A request of a
    /// running sequence goes to the version that has its state.
    ///
    /// # Errors
    /// That of the decoding, the check or the queue. The request was not queued then.
    pub fn submit(
        self,
        models: &impl Models,
        request: &mut impl IncomingRequest,
        then: Then,
    ) -> Result<Running> {
        let (model, _in_use) = begin_use(models, self.model, self.version, request.sequence())?;
        let mut outputs = OutputPlan::default();
        let request =
            decoded(request, &model, models, self.origin, self.parameters.as_deref(), &mut outputs)?;
        let responses = match then {
            Then::Wait => model.infer_and_wait(request)?,
            Then::Continue => model.infer(request)?,
        };
        Ok(Running { model, responses, outputs })
    }
}

impl Accepted {
    /// As [`Accepted::submit`], for a request of which no tensor is in a client's shared memory. It is never executed by the
    /// calling thread, and what comes back goes to a sink of the chosen version: it gets the use that is counted until its last
    /// event, if uses are counted.
    ///
    /// # Errors
    /// As of [`Accepted::submit`].
    pub fn submit_into(
        self,
        models: &impl Models,
        request: &mut impl IncomingRequest,
        sink: impl FnOnce(&Arc<LoadedModel>, Option<Use>) -> Box<dyn ResponseSink>,
    ) -> Result<()> {
        let (model, _in_use) = begin_use(models, self.model, self.version, request.sequence())?;
        let mut outputs = OutputPlan::default();
        let request =
            decoded(request, &model, models, self.origin, self.parameters.as_deref(), &mut outputs)?;
        let counted = model.uses.as_ref().and_then(Uses::begin);
        let sink = sink(&model, counted);
        model.infer_into(request, sink)
    }
}

/// Decodes a request for its version, and adds what came with its call.
fn decoded<'a>(
    request: &'a mut impl IncomingRequest,
    model: &'a LoadedModel,
    models: &impl Models,
    origin: Origin,
    parameters: Option<&Parameters>,
    outputs: &mut OutputPlan,
) -> Result<InferRequest<'a>> {
    let mut request = request.decode(model, models.shared_memory(), outputs)?;
    request.origin = origin;
    if let Some(parameters) = parameters {
        request.parameters.update(parameters);
    }
    outputs.seal();
    request.placed_outputs = outputs.on_devices();
    Ok(request)
}

/// A request that was submitted to a model.
#[derive(Debug)]
pub struct Running {
    /// The version that executes it.
    pub model: ModelRef,
    /// The receiver of its responses. Dropping it cancels the request.
    pub responses: ResponseReceiver,
    /// The form in which the outputs of each response are delivered.
    pub outputs: OutputPlan,
}
