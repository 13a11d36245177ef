//! The one call: every protocol hands its requests to models by it.
//!
//! [`accept`] finds the model when the head of a request is known, [`Accepted::submit`] hands the request over when its
//! content is. What lies between differs with the protocol: one reads a body, another has the whole message at once.

use std::sync::Arc;

use hippocamp_backend::{Error, ResponseReceiver, Result, Sequence};
use hippocamp_shm::SharedMemory;

use crate::sequence::begin_use;
use crate::{InferRequest, LoadedModel, Models, OutputPlan};

/// How many responses a protocol can pass on for one request.
#[derive(Clone, Copy, Debug)]
pub enum Responses {
    /// As many as the model sends.
    Any,
    /// Exactly one. A decoupled model, which may send any number, is refused with this text.
    One {
        /// The text of the error, as the protocol's clients know it.
        refusal: &'static str,
    },
}

/// What the caller does once a request is queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It waits for the responses right away: an instance may sleep until then, so that more requests join the batch.
    Wait,
    /// It does something else first.
    Continue,
}

/// Finds the model for a request: the version that it asks for, or the highest; one that is loaded for the request; or one
/// that is draining, as long as it is not known whether the request goes on with a sequence.
///
/// Waits only for a model that is loaded for the request.
pub async fn accept(
    models: &impl Models,
    name: &str,
    version: Option<u64>,
    responses: Responses,
) -> Result<Accepted> {
    let found = models.serving(name, version).or_else(|error| models.draining(name, version).ok_or(error));
    let model = match found {
        Ok(model) => model,
        Err(error) => models.load_for_request(name, version, error).await?,
    };
    match responses {
        Responses::One { refusal } if model.interface.decoupled => Err(Error::unsupported(refusal)),
        _ => Ok(Accepted { model, version }),
    }
}

/// A request whose model is found, and whose content is not decoded yet.
#[derive(Debug)]
pub struct Accepted {
    model: Arc<LoadedModel>,
    version: Option<u64>,
}

/// A request of a protocol. It is decoded when it is known which version it goes to.
pub trait IncomingRequest {
    /// The sequence that it belongs to, if any.
    fn sequence(&self) -> Option<&Sequence>;

    /// Decodes the content. Inputs in shared memory are registered with `outputs`, and so is what is to become of the
    /// outputs. Called once.
    fn decode<'a>(
        &'a mut self,
        model: &'a LoadedModel,
        memory: &SharedMemory,
        outputs: &mut OutputPlan,
    ) -> Result<InferRequest<'a>>;
}

impl Accepted {
    /// Which inputs and outputs the request may have. It may still go to another version of the model, if that has the
    /// state of its sequence.
    pub fn model(&self) -> &Arc<LoadedModel> {
        &self.model
    }

    /// Decodes a request, checks it and queues it; one that takes microseconds may be executed right here. A request that
    /// goes on with a sequence is handed to the version that has its state. An error means that it was not queued.
    pub fn submit(
        self,
        models: &impl Models,
        request: &mut impl IncomingRequest,
        then: Then,
    ) -> Result<Running> {
        let (model, _in_use) = begin_use(models, self.model, self.version, request.sequence())?;
        let mut outputs = OutputPlan::default();
        let request = request.decode(&model, models.shared_memory(), &mut outputs)?;
        outputs.seal();
        let responses = match then {
            Then::Wait => model.infer_and_wait(request)?,
            Then::Continue => model.infer(request)?,
        };
        Ok(Running { model, responses, outputs })
    }
}

/// A request that a model has.
#[derive(Debug)]
pub struct Running {
    /// The version that it went to.
    pub model: Arc<LoadedModel>,
    /// Its responses. Dropping the receiver cancels the request.
    pub responses: ResponseReceiver,
    /// What is to become of the outputs of each response.
    pub outputs: OutputPlan,
}
