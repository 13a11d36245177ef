//! The response cache: between the check of a request and its queue.
//!
//! A response is kept for requests to the same loaded version that give the same inputs, parameters and wanted outputs.
//! A version that is loaded again begins with nothing, so that no answer outlives the files that it came from.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hippocamp_backend::{
    Event, FailureReason, ModelEvent, Observers, Outlet, OutputTensor, ParameterValue, Request, Response,
    ResponseSink, Result,
};
use hippocamp_cache::{Digest, Digester, Inserted, Owner, Store};
use hippocamp_model_config::{Interface, ModelConfig};
use hippocamp_tensor::{MemoryError, PlacedSlice, TensorData};
use tracing::warn;

/// The responses of all models, within one budget.
pub type ResponseCache = Arc<Store<Arc<Response>>>;

/// One loaded version's part of the response cache. Its entries go when the version does, and with it the last request
/// that could still add one.
#[derive(Debug)]
pub struct ModelCache {
    owner: Arc<Owner<Arc<Response>>>,
    outputs: usize,
    observers: Arc<Observers>,
}

impl ModelCache {
    /// For a version whose config asks for one, if the server has a cache.
    pub fn wanted(
        cache: Option<&ResponseCache>,
        config: &ModelConfig,
        interface: &Interface,
        observers: &Arc<Observers>,
    ) -> Option<ModelCache> {
        if interface.decoupled || !config.response_cache.is_some_and(|cache| cache.enable) {
            return None;
        }
        let Some(cache) = cache else {
            let model = &config.name;
            warn!(model, "its responses are not cached: the server has no --cache-config=local,size=BYTES");
            return None;
        };
        let (owner, observers) = (Arc::new(cache.owner()), Arc::clone(observers));
        Some(ModelCache { owner, outputs: interface.outputs.len(), observers })
    }

    /// Answers the request if its answer is there. Gives it back if not; its answer will then be kept.
    pub(crate) fn answer(&self, mut request: Request) -> Option<Request> {
        let looked = Instant::now();
        if let Err(error) = own(&mut request) {
            request.fail(error, FailureReason::Other);
            return None;
        }
        let digest = self.digest(&request);
        if let Some(response) = self.owner.get(digest) {
            let queued = request.queued;
            request.response.succeed_from_cache(Response::clone(&response), queued, looked);
            return None;
        }
        let (owner, observers) = (Arc::clone(&self.owner), Arc::clone(&self.observers));
        let looked = looked.elapsed();
        request.response.redirect(|outlet| {
            let delivery = outlet.delivery();
            Outlet::to_sink(delivery, Box::new(Keeping { outlet, owner, digest, looked, observers }))
        });
        Some(request)
    }

    /// Of everything that an answer depends on. Names and types of tensors are those of the version, which is the owner.
    fn digest(&self, request: &Request) -> Digest {
        let mut digester = Digester::default();
        for index in 0..self.outputs {
            digester.bytes(&[u8::from(request.outputs.contains(index))]);
        }
        for input in &request.inputs {
            let Some(input) = input else {
                digester.number(u64::MAX);
                continue;
            };
            digester.number(input.shape.len() as u64);
            input.shape.iter().for_each(|size| digester.number(*size as u64));
            digester.number(input.data.len() as u64);
            for segment in input.data.as_segments().unwrap_or_default() {
                digester.bytes(segment);
            }
        }
        for (name, value) in request.parameters.iter() {
            digester.text(name);
            match value {
                ParameterValue::Bool(value) => digester.bytes(&[0, u8::from(*value)]),
                ParameterValue::Int64(value) => {
                    digester.bytes(&[1]);
                    digester.number(*value as u64);
                }
                ParameterValue::Uint64(value) => {
                    digester.bytes(&[2]);
                    digester.number(*value);
                }
                ParameterValue::Double(value) => {
                    digester.bytes(&[3]);
                    digester.number(value.to_bits());
                }
                ParameterValue::String(value) => {
                    digester.bytes(&[4]);
                    digester.text(value);
                }
            }
        }
        digester.finish()
    }
}

/// Brings inputs to host memory of this process: there they are read, and their client cannot change them any more. What is
/// looked up has to be what is executed, or one client could leave a wrong answer for all others.
fn own(request: &mut Request) -> Result<()> {
    for input in request.inputs.iter_mut().flatten() {
        if input.data.as_segments().is_none() {
            input.data = input.data.to_host()?.into();
        }
    }
    Ok(())
}

/// Keeps a copy of the response on its way.
#[derive(Debug)]
struct Keeping {
    outlet: Outlet,
    owner: Arc<Owner<Arc<Response>>>,
    digest: Digest,
    /// How long the look-up took.
    looked: Duration,
    observers: Arc<Observers>,
}

impl ResponseSink for Keeping {
    fn deliver(&mut self, event: Event) {
        if let Event::Response { response, last: true } = &event {
            let begin = Instant::now();
            if self.keep(response) != Inserted::AlreadyThere {
                let (looked, kept) = (self.looked, begin.elapsed());
                self.observers.on_model(&ModelEvent::CacheMissed { looked, kept });
            }
        }
        self.outlet.send(event);
    }

    fn is_cancelled(&self) -> bool {
        self.outlet.is_cancelled()
    }
}

impl Keeping {
    fn keep(&self, response: &Response) -> Inserted {
        let size = size(response);
        if !self.owner.has_room_for(size) {
            return Inserted::TooLarge;
        }
        // Copied: it may be a slice of a whole batch's buffer, or of a message, which would stay as long as the entry.
        let outputs = response.outputs.iter().map(|output| {
            let data = copied(&output.data)?.into();
            Ok(OutputTensor { index: output.index, shape: output.shape.clone(), data })
        });
        let outputs: Result<_, MemoryError> = outputs.collect();
        // A response that there is no memory for a second time of goes to its client and is not kept.
        let Ok(outputs) = outputs else { return Inserted::TooLarge };
        let copy = Response { outputs, parameters: response.parameters.clone() };
        self.owner.insert(self.digest, Arc::new(copy), size)
    }
}

/// The bytes in host memory of their own: one copy, also where they lie in several pieces or on a device.
fn copied(data: &TensorData) -> Result<Bytes, MemoryError> {
    match data.as_contiguous() {
        Some(bytes) => PlacedSlice::from(bytes).to_vec().map(Bytes::from),
        None => data.to_host(),
    }
}

/// The bytes of a response, about.
fn size(response: &Response) -> usize {
    let output = |output: &OutputTensor| {
        size_of::<OutputTensor>() + size_of_val::<[i64]>(&output.shape) + output.data.len()
    };
    let parameter = |(name, value): (&str, &ParameterValue)| {
        let text = if let ParameterValue::String(text) = value { text.len() } else { 0 };
        size_of::<ParameterValue>() + name.len() + text
    };
    let outputs = response.outputs.iter().map(output).sum::<usize>();
    size_of::<Response>() + outputs + response.parameters.iter().map(parameter).sum::<usize>()
}
