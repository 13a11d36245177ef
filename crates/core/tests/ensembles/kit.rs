//! Backends that do what a test says, and a server over a temporary repository.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use hippocamp_backend::{
    Backend, Batch, ExecutionTimes, FailureReason, InstanceSpec, Model, ModelInstance, ModelSource,
    NewInstance, OutputTensor, Request, Response, ResponseReceiver, Result,
};
use hippocamp_core::{ControlMode, InferInput, InferRequest, InferenceServer, Settings};
use hippocamp_model_config::{Interface, ModelConfig};
use hippocamp_tensor::{DataType, Shape};
use parking_lot::{Condvar, Mutex};
use smallvec::SmallVec;
use tempfile::TempDir;

/// What a request is executed by.
pub(crate) struct Here<'a> {
    /// How many models of the backend were loaded before this one.
    pub(crate) generation: u64,
    pub(crate) interface: &'a Interface,
}

type Act = dyn Fn(&Here<'_>, &Request) -> Result<Response> + Send + Sync;

/// A backend whose models answer with what a closure makes of a request.
pub(crate) struct Scripted {
    name: &'static str,
    loads: AtomicU64,
    act: Arc<Act>,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Scripted {
    pub(crate) fn backend(
        name: &'static str,
        act: impl Fn(&Here<'_>, &Request) -> Result<Response> + Send + Sync + 'static,
    ) -> Arc<dyn Backend> {
        Arc::new(Scripted { name, loads: AtomicU64::new(0), act: Arc::new(act) })
    }
}

impl Backend for Scripted {
    fn name(&self) -> &str {
        self.name
    }

    fn load(&self, _: &ModelSource) -> Result<Box<dyn Model>> {
        let generation = self.loads.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(ScriptedModel { generation, act: Arc::clone(&self.act) }))
    }
}

struct ScriptedModel {
    generation: u64,
    act: Arc<Act>,
}

impl Model for ScriptedModel {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, spec: &InstanceSpec) -> Result<NewInstance> {
        let (generation, act) = (self.generation, Arc::clone(&self.act));
        Ok(NewInstance::bound(ScriptedInstance { generation, act, interface: Arc::clone(&spec.interface) }))
    }
}

struct ScriptedInstance {
    generation: u64,
    act: Arc<Act>,
    interface: Arc<Interface>,
}

impl ModelInstance for ScriptedInstance {
    fn execute(&mut self, batch: &mut Batch) {
        let here = Here { generation: self.generation, interface: &self.interface };
        let responses: Vec<_> = batch.iter().map(|request| (self.act)(&here, request)).collect();
        let times = ExecutionTimes::now();
        let size: usize = batch.iter().map(|request| request.batch_size).sum();
        batch[0].response.executed(size, &times);
        for (request, response) in batch.drain(..).zip(responses) {
            match response {
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

/// A server in explicit mode in which nothing is loaded yet.
pub(crate) struct Server {
    pub(crate) core: Arc<InferenceServer>,
    pub(crate) repository: TempDir,
}

impl Server {
    pub(crate) fn new(backends: Vec<Arc<dyn Backend>>) -> Server {
        Server::with(backends, |_| {})
    }

    pub(crate) fn with(backends: Vec<Arc<dyn Backend>>, change: impl FnOnce(&mut Settings)) -> Server {
        let repository = tempfile::tempdir().unwrap();
        let mut settings = Settings {
            repositories: vec![repository.path().into()],
            control_mode: ControlMode::Explicit,
            ..Settings::default()
        };
        change(&mut settings);
        let core = InferenceServer::new(settings, backends);
        core.begin_serving();
        Server { core, repository }
    }

    /// Writes a model's config, and a version folder if it is to have one.
    pub(crate) fn write(&self, name: &str, config: &str, version: Option<u64>) {
        let folder = self.repository.path().join(name);
        let version = version.map_or_else(|| folder.clone(), |version| folder.join(version.to_string()));
        fs::create_dir_all(version).unwrap();
        fs::write(folder.join("config.pbtxt"), config).unwrap();
    }

    pub(crate) async fn load(&self, name: &str) -> Result<()> {
        self.core.load(name, hippocamp_core::LoadOverrides::default()).await
    }

    /// State and reason of a model's only version.
    pub(crate) fn state(&self, name: &str) -> (&'static str, String) {
        let index = self.core.index(false);
        let entry = index.into_iter().find(|entry| entry.name == name).unwrap();
        entry.version.map_or(("NONE", String::new()), |(_, state)| (state.state.name(), state.reason))
    }

    pub(crate) fn is_served(&self, name: &str) -> bool {
        self.core.model(name, None).is_ok()
    }

    /// Asks a model whose only input `IN` has these numbers.
    pub(crate) fn ask(&self, model: &str, shape: &[i64], numbers: &[i32]) -> Result<ResponseReceiver> {
        let input = InferInput {
            name: "IN",
            data_type: Some(DataType::Int32),
            shape: shape.into(),
            data: bytes(numbers).into(),
        };
        let request = InferRequest::new(SmallVec::from_iter([input]));
        self.core.model(model, None)?.infer(request)
    }

    /// The numbers of the first output of the answer.
    pub(crate) async fn number(&self, model: &str, number: i32) -> Result<i32> {
        let response = self.ask(model, &[1], &[number])?.only().await?;
        Ok(numbers(&response.outputs[0].data.to_host().unwrap())[0])
    }
}

pub(crate) fn bytes(numbers: &[i32]) -> Bytes {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

pub(crate) fn numbers(bytes: &[u8]) -> Vec<i32> {
    bytes.as_chunks::<4>().0.iter().map(|chunk| i32::from_le_bytes(*chunk)).collect()
}

/// The numbers of an input.
pub(crate) fn input(request: &Request, index: usize) -> Vec<i32> {
    numbers(&request.inputs[index].as_ref().unwrap().data.to_host().unwrap())
}

pub(crate) fn output(index: usize, shape: &[i64], numbers: &[i32]) -> OutputTensor {
    OutputTensor { index, shape: Shape::from(shape), data: bytes(numbers).into(), data_type: None }
}

/// A model of one INT32 input `IN` and one output `OUT`, and a step that runs one.
pub(crate) const ONE: &str = "input { name: \"IN\" data_type: TYPE_INT32 dims: 1 } \
                              output { name: \"OUT\" data_type: TYPE_INT32 dims: 1 } ";

pub(crate) fn step(model: &str, version: i64, from: &str, to: &str) -> String {
    format!(
        "step {{ model_name: \"{model}\" model_version: {version} input_map {{ key: \"IN\" value: \"{from}\" }} \
         output_map {{ key: \"OUT\" value: \"{to}\" }} }} "
    )
}

/// An ensemble of one input and output that runs these models one after the other.
pub(crate) fn chain(models: &[&str]) -> String {
    let mut steps = String::new();
    for (index, model) in models.iter().enumerate() {
        let from = if index == 0 { "IN".to_owned() } else { format!("t{index}") };
        let to = if index + 1 == models.len() { "OUT".to_owned() } else { format!("t{}", index + 1) };
        steps += &step(model, -1, &from, &to);
    }
    format!("platform: \"ensemble\" {ONE} ensemble_scheduling {{ {steps} }}")
}

/// Appends the generation of the model to the number, as another digit.
pub(crate) fn stamp() -> Arc<dyn Backend> {
    Scripted::backend("stamp", |here, request| {
        let number = input(request, 0)[0] * 10 + here.generation as i32 % 10;
        let outputs = SmallVec::from_iter([output(0, &[1], &[number])]);
        Ok(Response { outputs, ..Response::default() })
    })
}

pub(crate) fn stamped() -> String {
    format!("backend: \"stamp\" {ONE}")
}
