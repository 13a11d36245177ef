//! Looks up requests in the response cache, after their check and before they are queued.
//!
//! A response is cached for requests to the same loaded version with the same inputs, parameters and requested outputs. A
//! reloaded version starts with an empty cache, so that no response outlives the files that produced it.

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

/// The response cache of all models, with one common size limit.
pub type ResponseCache = Arc<Store<Arc<Response>>>;

/// The part of the response cache that belongs to one loaded version. Its entries are removed when the version and the last
/// request on it are gone.
#[derive(Debug)]
pub struct ModelCache {
    owner: Arc<Owner<Arc<Response>>>,
    outputs: usize,
    observers: Arc<Observers>,
}

impl ModelCache {
    /// Makes the cache of a version, if its config enables caching and the server has a cache; otherwise `None`.
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

    /// Answers the request if its response is cached. Otherwise returns the request, whose response will then be cached.
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

    /// The digest of everything that a response depends on. The names and types of tensors are left out, because they are
    /// fixed for the version that owns the entry.
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

/// Copies inputs from elsewhere to host memory of this process, where the client cannot change them any more. The bytes that
/// are looked up have to be the bytes that are executed, or one client could place a wrong response in the cache for all
/// others.
fn own(request: &mut Request) -> Result<()> {
    for input in request.inputs.iter_mut().flatten() {
        if input.data.as_segments().is_none() {
            input.data = input.data.to_host()?.into();
        }
    }
    Ok(())
}

/// Stores a copy of a response in the cache while it is sent.
#[derive(Debug)]
struct Keeping {
    outlet: Outlet,
    owner: Arc<Owner<Arc<Response>>>,
    digest: Digest,
    /// The duration of the look-up.
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
        // The bytes are copied, because they may be a slice of a batch's buffer or of a message, which would otherwise stay
        // in memory as long as the entry.
        let outputs = response.outputs.iter().map(|output| {
            let data = copied(&output.data)?.into();
            let OutputTensor { index, data_type, .. } = *output;
            Ok(OutputTensor { index, shape: output.shape.clone(), data, data_type })
        });
        let outputs: Result<_, MemoryError> = outputs.collect();
        // If there is no memory for the copy, the response is sent and not cached.
        let Ok(outputs) = outputs else { return Inserted::TooLarge };
        let copy = Response { outputs, parameters: response.parameters.clone() };
        self.owner.insert(self.digest, Arc::new(copy), size)
    }
}

/// Copies the bytes to new host memory by one copy, even if they lie in several pieces or on a device.
fn copied(data: &TensorData) -> Result<Bytes, MemoryError> {
    match data.as_contiguous() {
        Some(bytes) => PlacedSlice::from(bytes).to_vec().map(Bytes::from),
        None => data.to_host(),
    }
}

/// The approximate size of a response in bytes.
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
