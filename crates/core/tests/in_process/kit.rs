//! A backend whose models call others, and a server that has it.

use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use hippocamp_backend::{
    Backend, Batch, ExecutionTimes, FailureReason, InProcessEvent, InProcessRequest, InProcessResponse,
    InProcessServer, InstanceSpec, Model, ModelInstance, ModelSource, NewInstance, OutputTensor,
    ParameterValue, Request, Response, Result, ServerHandle,
};
use hippocamp_core::{ControlMode, InferInput, InferRequest, InferenceServer, LoadOverrides, Settings};
use hippocamp_in_process::call;
use hippocamp_model_config::ModelConfig;
use hippocamp_tensor::{DataType, Shape};
use parking_lot::{Condvar, Mutex};
use smallvec::SmallVec;
use tempfile::TempDir;

type Act = dyn Fn(&dyn InProcessServer, &Request) -> Result<Response> + Send + Sync;

/// The backend `caller`: what its models answer is what a closure makes of a request, with the server.
pub(crate) struct Caller {
    server: Mutex<ServerHandle>,
    act: Arc<Act>,
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("caller")
    }
}

impl Backend for Caller {
    fn name(&self) -> &'static str {
        "caller"
    }

    fn connect(&self, server: ServerHandle) {
        *self.server.lock() = server;
    }

    fn load(&self, _: &ModelSource) -> Result<Box<dyn Model>> {
        let (server, act) = (self.server.lock().clone(), Arc::clone(&self.act));
        Ok(Box::new(Calling { server, act }))
    }
}

#[derive(Clone)]
struct Calling {
    server: ServerHandle,
    act: Arc<Act>,
}

impl Model for Calling {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, _: &InstanceSpec) -> Result<NewInstance> {
        Ok(NewInstance::bound(self.clone()))
    }
}

impl ModelInstance for Calling {
    fn execute(&mut self, batch: &mut Batch) {
        for request in batch.drain(..) {
            let times = ExecutionTimes::now();
            request.response.executed(1, &times);
            match self.server.get().and_then(|server| (self.act)(&*server, &request)) {
                Ok(response) => request.succeed(response, &times),
                Err(error) => request.fail(error, FailureReason::Backend),
            }
        }
    }
}

/// Closed until it is opened.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub(crate) fn pass(&self) {
        let mut is_open = self.is_open.lock();
        while !*is_open {
            self.opened.wait(&mut is_open);
        }
    }

    pub(crate) fn open(&self) {
        *self.is_open.lock() = true;
        self.opened.notify_all();
    }
}

pub(crate) struct Server {
    pub(crate) core: Arc<InferenceServer>,
    repository: TempDir,
}

/// A server in explicit mode with the backend `caller` and the built-in ones.
pub(crate) fn server(
    act: impl Fn(&dyn InProcessServer, &Request) -> Result<Response> + Send + Sync + 'static,
) -> Server {
    server_with(|_| {}, act)
}

pub(crate) fn server_with(
    change: impl FnOnce(&mut Settings),
    act: impl Fn(&dyn InProcessServer, &Request) -> Result<Response> + Send + Sync + 'static,
) -> Server {
    let repository = tempfile::tempdir().unwrap();
    let mut settings = Settings {
        repositories: vec![repository.path().into()],
        control_mode: ControlMode::Explicit,
        ..Settings::default()
    };
    change(&mut settings);
    let mut backends = hippocamp_backend_builtin::backends();
    backends.push(Arc::new(Caller { server: Mutex::default(), act: Arc::new(act) }));
    let core = InferenceServer::new(settings, backends);
    core.begin_serving();
    Server { core, repository }
}

impl Server {
    pub(crate) fn write(&self, name: &str, config: &str) {
        let folder = self.repository.path().join(name);
        fs::create_dir_all(folder.join("1")).unwrap();
        fs::write(folder.join("config.pbtxt"), config).unwrap();
    }

    pub(crate) async fn load(&self, name: &str, config: &str) {
        self.write(name, config);
        self.core.load(name, LoadOverrides::default()).await.unwrap();
    }

    /// Asks a model as a client does, and returns its number.
    pub(crate) async fn ask(&self, model: &str, number: i32) -> Result<i32> {
        let input = InferInput {
            name: "INPUT0",
            data_type: Some(DataType::Int32),
            shape: Shape::from([1]),
            data: bytes(number).into(),
        };
        let request = InferRequest::new(SmallVec::from_iter([input]));
        let response = self.core.model_or_load(model, None).await?.infer(request)?.only().await?;
        Ok(number_of(&response.outputs[0].data.to_host().unwrap()))
    }

    /// The server as backends see it.
    pub(crate) fn in_process(&self) -> Arc<dyn InProcessServer> {
        self.core.handle().get().unwrap()
    }

    pub(crate) fn counters(&self, model: &str) -> hippocamp_statistics::Counters {
        self.core.statistics(model, None).unwrap().remove(0).counters
    }
}

/// Runs what may block on a thread that may.
pub(crate) async fn blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, outcome) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || drop(done.send(act())));
    outcome.await.unwrap()
}

pub(crate) fn bytes(number: i32) -> Bytes {
    Bytes::copy_from_slice(&number.to_le_bytes())
}

pub(crate) fn number_of(bytes: &[u8]) -> i32 {
    i32::from_le_bytes(bytes.try_into().unwrap())
}

/// The number of a request.
pub(crate) fn input(request: &Request) -> i32 {
    number_of(&request.inputs[0].as_ref().unwrap().data.to_host().unwrap())
}

/// A request with one number.
pub(crate) fn request(model: &str, number: i32) -> InProcessRequest {
    InProcessRequest::new(model).with_input("INPUT0", DataType::Int32, [1], bytes(number))
}

pub(crate) fn number(response: &InProcessResponse) -> i32 {
    number_of(&response.outputs[0].data.to_host().unwrap())
}

/// What the model answers to a number.
pub(crate) fn ask(server: &dyn InProcessServer, model: &str, number_in: i32) -> Result<i32> {
    call(server, request(model, number_in))?.only().map(|response| number(&response))
}

pub(crate) fn answer(number: i32) -> Response {
    let data = bytes(number).into();
    let outputs =
        SmallVec::from_iter([OutputTensor { index: 0, shape: Shape::from([1]), data, data_type: None }]);
    Response { outputs, ..Response::default() }
}

/// The text of a request's parameter `target`.
pub(crate) fn target(request: &Request) -> String {
    match request.parameters.get("target") {
        Some(ParameterValue::String(text)) => text.to_string(),
        _ => "twin".to_owned(),
    }
}

/// The events of a call in short.
pub(crate) fn shown(event: &InProcessEvent) -> String {
    match event {
        InProcessEvent::Response { response, last } => format!("{} {last}", number(response)),
        InProcessEvent::Failed { error, last } => format!("{} {last}", error.reason()),
        InProcessEvent::End => "end".to_owned(),
    }
}

const TENSORS: &str = "input { name: \"INPUT0\" data_type: TYPE_INT32 dims: 1 } \
                       output { name: \"OUTPUT0\" data_type: TYPE_INT32 dims: 1 } ";

/// A model that calls others, with so many instances.
pub(crate) fn caller(instances: usize) -> String {
    format!("backend: \"caller\" {TENSORS} instance_group {{ kind: KIND_CPU count: {instances} }}")
}

/// A model that answers with its input.
pub(crate) fn twin() -> String {
    format!("backend: \"identity\" {TENSORS}")
}

/// An ensemble that hands its input to this model.
pub(crate) fn around(model: &str) -> String {
    format!(
        "platform: \"ensemble\" {TENSORS} ensemble_scheduling {{ step {{ model_name: \"{model}\" model_version: -1 \
         input_map {{ key: \"INPUT0\" value: \"INPUT0\" }} output_map {{ key: \"OUTPUT0\" value: \"OUTPUT0\" }} }} }}"
    )
}

/// A decoupled model that answers with each of its numbers.
pub(crate) const REPEAT: &str = "backend: \"repeat\" model_transaction_policy { decoupled: true } \
    input { name: \"IN\" data_type: TYPE_INT32 dims: -1 } output { name: \"OUT\" data_type: TYPE_INT32 dims: 1 } \
    input { name: \"DELAY\" data_type: TYPE_UINT32 dims: -1 } input { name: \"WAIT\" data_type: TYPE_UINT32 dims: 1 } \
    output { name: \"IDX\" data_type: TYPE_UINT32 dims: 1 }";

/// A request to [`REPEAT`] for so many answers.
pub(crate) fn repeat(model: &str, count: i32) -> InProcessRequest {
    let numbers: Bytes = (0..count).flat_map(i32::to_le_bytes).collect();
    let delays: Bytes = (0..count).flat_map(|_| 0_i32.to_le_bytes()).collect();
    InProcessRequest::new(model)
        .with_input("IN", DataType::Int32, [i64::from(count)], numbers)
        .with_input("DELAY", DataType::Uint32, [i64::from(count)], delays)
        .with_input("WAIT", DataType::Uint32, [1], bytes(0))
}
