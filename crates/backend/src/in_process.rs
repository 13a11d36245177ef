//! The server as backends see it: a model that runs may call other models, and load and unload them.
//!
//! A backend is given a [`ServerHandle`] when it is registered. What it calls there is the same that clients call: the same
//! checks, queues, events and statistics.

use std::fmt::{self, Debug};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hippocamp_interface::{Interface, ModelConfig};
use hippocamp_tensor::{DataType, Place, Shape, TensorData};
use smallvec::SmallVec;

use crate::{Error, Parameters, RequestObserver, Result, Sequence};

/// What a server offers to the backends in its process.
///
/// Each function may be called from any thread that may block, an instance's own included, but not from one that serves
/// connections: an instance that calls them is a [bound](crate::NewInstance::Bound) one. Only [`InProcessServer::infer`]
/// never blocks.
pub trait InProcessServer: Send + Sync + Debug {
    /// The given version of a model, or with `None` the highest that serves. The error says why it does not serve.
    fn model(&self, name: &str, version: Option<u64>) -> Result<ServedModel>;

    /// Whether requests for the model are answered; they are not if there is none. Fails while the server stops.
    fn is_model_ready(&self, name: &str, version: Option<u64>) -> Result<bool>;

    /// Checks and queues a request. The model is never executed by this call. On an error the sink is dropped without having
    /// been given anything. Otherwise it gets all that comes, up to the last event, which may be before this returns.
    fn infer(&self, request: InProcessRequest, sink: Box<dyn InProcessSink>) -> Result<()>;

    /// Loads or reloads a model, and returns when it serves. Fails as a client's request to do so would.
    fn load(&self, name: &str, overrides: InProcessOverrides) -> Result<()>;

    /// Unloads a model, with `dependents` those that it is composed of as well. Returns when no request finds it any more;
    /// those that did are executed still, one of them perhaps by whoever calls this.
    fn unload(&self, name: &str, dependents: bool) -> Result<()>;

    /// Every model of the repositories, by name; with `ready_only` only the versions that serve.
    fn index(&self, ready_only: bool) -> Result<Vec<IndexedModel>>;

    /// The server's name, version and protocol extensions.
    fn about(&self) -> Result<AboutServer>;
}

/// The server that a backend belongs to. It does not keep the server alive.
#[derive(Clone)]
pub struct ServerHandle(Option<Weak<dyn InProcessServer>>);

impl ServerHandle {
    /// A handle of that server.
    pub fn new(server: Weak<dyn InProcessServer>) -> ServerHandle {
        ServerHandle(Some(server))
    }

    /// The handle of a backend that belongs to no server.
    pub const fn none() -> ServerHandle {
        ServerHandle(None)
    }

    /// The server.
    ///
    /// # Errors
    /// `Unavailable` if it has ended.
    pub fn get(&self) -> Result<Arc<dyn InProcessServer>> {
        let server = self.0.as_ref().and_then(Weak::upgrade);
        server.ok_or_else(|| Error::unavailable("the server that the backend belongs to has ended"))
    }
}

impl Default for ServerHandle {
    fn default() -> Self {
        ServerHandle::none()
    }
}

impl Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.get().is_ok() { "ServerHandle" } else { "ServerHandle (ended)" })
    }
}

/// A version of a model that serves.
#[derive(Clone, Debug)]
pub struct ServedModel {
    /// The name by which requests find it.
    pub name: Arc<str>,
    /// The number of the version.
    pub version: u64,
    /// All versions of the model that serve, lowest first.
    pub versions: Vec<u64>,
    /// The config, completed and checked.
    pub config: Arc<ModelConfig>,
    /// The inputs and outputs, and whether it is decoupled.
    pub interface: Arc<Interface>,
}

/// A request of a backend to a model. It owns what it says, as it may wait until the model is loaded.
#[derive(Debug)]
pub struct InProcessRequest {
    /// The model's name.
    pub model: Box<str>,
    /// The version; `None` for the highest that serves.
    pub version: Option<u64>,
    /// The request's id, may be empty.
    pub id: Box<str>,
    /// In any order.
    pub inputs: SmallVec<[InProcessTensor; 4]>,
    /// The names of the outputs that are asked for; an empty list means all.
    pub outputs: Vec<Box<str>>,
    /// Where the outputs are wanted.
    pub output_place: Place,
    /// The parameters for the model.
    pub parameters: Parameters,
    /// The priority in the queue. 1 is the highest; 0 stands for the model's default.
    pub priority: u64,
    /// The longest time that it may wait in the queue.
    pub timeout: Option<Duration>,
    /// Its place in a sequence, if it belongs to one.
    pub sequence: Option<Sequence>,
    /// When whoever waits for the outcome stops waiting. Only shown to observers.
    pub deadline: Option<Instant>,
    /// What observes this request, such as a trace under that of the request that the backend works for:
    /// [`RequestObserver::of_step`] of that one's observer.
    pub observer: Option<Arc<dyn RequestObserver>>,
}

impl InProcessRequest {
    /// A request for all outputs of the highest version, in host memory.
    pub fn new(model: impl Into<Box<str>>) -> InProcessRequest {
        InProcessRequest {
            model: model.into(),
            version: None,
            id: Box::default(),
            inputs: SmallVec::new(),
            outputs: Vec::new(),
            output_place: Place::Host,
            parameters: Parameters::default(),
            priority: 0,
            timeout: None,
            sequence: None,
            deadline: None,
            observer: None,
        }
    }

    /// The same with one more input.
    #[must_use]
    pub fn with_input(
        mut self,
        name: &str,
        data_type: DataType,
        shape: impl Into<Shape>,
        data: impl Into<TensorData>,
    ) -> InProcessRequest {
        let (shape, data) = (shape.into(), data.into());
        self.inputs.push(InProcessTensor { name: name.into(), data_type, shape, data });
        self
    }
}

/// A tensor with its name.
#[derive(Clone, Debug)]
pub struct InProcessTensor {
    /// The name of the model's input or output.
    pub name: Arc<str>,
    /// The type of its elements.
    pub data_type: DataType,
    /// With the batch dimension, if the model has one.
    pub shape: Shape,
    /// The elements in their wire form. An output may be a part of a larger buffer, or an input as it was given.
    pub data: TensorData,
}

/// A response to a request of a backend.
#[derive(Clone, Debug)]
pub struct InProcessResponse {
    /// The model that answered.
    pub model: Arc<str>,
    /// Its version.
    pub version: u64,
    /// The outputs that were asked for, in the model's order.
    pub outputs: Vec<InProcessTensor>,
    /// The parameters that the model set.
    pub parameters: Parameters,
}

/// What comes back for a request of a backend.
#[derive(Debug)]
pub enum InProcessEvent {
    /// A response. The only one of a model that is not decoupled is the last event.
    Response {
        /// What the model answered.
        response: InProcessResponse,
        /// No event follows.
        last: bool,
    },
    /// One response of a decoupled model is an error, or with `last` the request failed.
    Failed {
        /// What went wrong.
        error: Error,
        /// No event follows.
        last: bool,
    },
    /// A decoupled model is done. No event follows.
    End,
}

impl InProcessEvent {
    /// Whether no event follows.
    pub fn is_last(&self) -> bool {
        match self {
            InProcessEvent::Response { last, .. } | InProcessEvent::Failed { last, .. } => *last,
            InProcessEvent::End => true,
        }
    }
}

/// Gets what comes back for a request.
///
/// Called by the thread that answers, an instance's or one that serves connections, so it must neither block nor compute for
/// long; crate `in-process` has sinks for those who do. The last event always comes, and then the sink is dropped.
pub trait InProcessSink: Send + Debug {
    /// Takes the next event.
    fn deliver(&mut self, event: InProcessEvent);

    /// Whether the request is cancelled. It is asked before the request is executed, and by models that look at it
    /// while they execute; the last event comes all the same.
    fn is_cancelled(&self) -> bool;
}

/// What a load says of the model in place of its folder.
#[derive(Clone, Debug, Default)]
pub struct InProcessOverrides {
    /// A config in JSON, instead of that of the folder.
    pub config: Option<String>,
    /// Files in place of the folder's, with their paths in it. They need a config.
    pub files: Vec<(String, Bytes)>,
}

/// A line of the repository index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedModel {
    /// The model's name.
    pub name: String,
    /// The number of a version that was loaded or failed to load; `None` if none was.
    pub version: Option<u64>,
    /// As the repository extension spells it: `READY`, `LOADING`, `UNLOADING`, `UNAVAILABLE`; empty if it was never loaded.
    pub state: &'static str,
    /// Why it is not ready.
    pub reason: String,
}

/// What a server says of itself.
#[derive(Clone, Debug)]
pub struct AboutServer {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: &'static str,
    /// The protocol extensions that it has.
    pub extensions: Vec<&'static str>,
}
