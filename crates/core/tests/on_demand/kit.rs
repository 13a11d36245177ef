//! A backend that reckons what its instances hold, and a server of many models of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hippocamp_backend::{
    Backend, Batch, Error, ExecutionTimes, InstanceSpec, Model, ModelInstance, ModelSource, NewInstance,
    Response, Result, count_execution,
};
use hippocamp_core::{ControlMode, InferRequest, InferenceServer, LoadedModel, Settings};
use hippocamp_model_config::ModelConfig;
use parking_lot::{Condvar, Mutex};
use smallvec::SmallVec;
use tempfile::TempDir;

/// Counts the bytes that instances hold: each as many as the model's file has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Weighing(pub(crate) Arc<Scales>);

#[derive(Debug, Default)]
pub(crate) struct Scales {
    state: Mutex<Weighed>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(crate) struct Weighed {
    pub(crate) held: u64,
    pub(crate) peak: u64,
    /// By model.
    pub(crate) loads: BTreeMap<String, usize>,
    /// Models that fail to load.
    pub(crate) broken: BTreeSet<String>,
    /// Loads and executions of these wait.
    pub(crate) stuck: BTreeSet<String>,
}

impl Scales {
    pub(crate) fn look<T>(&self, look: impl FnOnce(&mut Weighed) -> T) -> T {
        let seen = look(&mut self.state.lock());
        self.changed.notify_all();
        seen
    }

    pub(crate) fn loads(&self, model: &str) -> usize {
        self.look(|weighed| weighed.loads.get(model).copied().unwrap_or(0))
    }

    pub(crate) fn stick(&self, model: &str) {
        self.look(|weighed| weighed.stuck.insert(model.to_owned()));
    }

    pub(crate) fn free(&self, model: &str) {
        self.look(|weighed| weighed.stuck.remove(model));
    }

    fn wait(&self, model: &str) {
        let mut state = self.state.lock();
        while state.stuck.contains(model) {
            self.changed.wait(&mut state);
        }
    }
}

impl Backend for Weighing {
    fn name(&self) -> &'static str {
        "weighing"
    }

    fn load(&self, source: &ModelSource) -> Result<Box<dyn Model>> {
        self.0.look(|weighed| *weighed.loads.entry(source.name.to_string()).or_default() += 1);
        self.0.wait(&source.name);
        if self.0.look(|weighed| weighed.broken.contains(&*source.name)) {
            return Err(Error::internal("told to fail"));
        }
        let bytes = fs::metadata(source.version_directory.join("model")).map_or(0, |file| file.len());
        Ok(Box::new(Weight { scales: Arc::clone(&self.0), name: source.name.to_string(), bytes }))
    }
}

struct Weight {
    scales: Arc<Scales>,
    name: String,
    bytes: u64,
}

impl Model for Weight {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, _: &InstanceSpec) -> Result<NewInstance> {
        self.scales.look(|weighed| {
            weighed.held += self.bytes;
            weighed.peak = weighed.peak.max(weighed.held);
        });
        let (scales, name) = (Arc::clone(&self.scales), self.name.clone());
        Ok(NewInstance::bound(Instance(Weight { scales, name, bytes: self.bytes })))
    }
}

struct Instance(Weight);

impl Drop for Instance {
    fn drop(&mut self) {
        self.0.scales.look(|weighed| weighed.held -= self.0.bytes);
    }
}

impl ModelInstance for Instance {
    fn execute(&mut self, batch: &mut Batch) {
        self.0.scales.wait(&self.0.name);
        let times = ExecutionTimes::now();
        count_execution(batch, &times);
        for request in batch.drain(..) {
            request.succeed(Response::default(), &times);
        }
    }
}

pub(crate) struct Server {
    pub(crate) core: Arc<InferenceServer>,
    pub(crate) scales: Arc<Scales>,
    pub(crate) repository: TempDir,
}

const TENSORS: &str = "input { name: \"i\" data_type: TYPE_FP32 dims: 1 optional: true }
    output { name: \"o\" data_type: TYPE_FP32 dims: 1 }";

impl Server {
    /// Of nothing yet.
    pub(crate) fn new(mode: ControlMode, budget: u64) -> Server {
        let repository = tempfile::tempdir().unwrap();
        let backend = Weighing::default();
        let scales = Arc::clone(&backend.0);
        let settings = Settings {
            repositories: vec![repository.path().into()],
            control_mode: mode,
            load_models: vec!["*".to_owned()],
            lazy_load: true,
            lazy_load_memory_budget: budget,
            ..Settings::default()
        };
        Server { core: InferenceServer::new(settings, vec![Arc::new(backend)]), scales, repository }
    }

    /// Of models of 100 bytes with these names, all of which stand by.
    pub(crate) async fn of(names: &[&str], mode: ControlMode, budget: u64) -> Server {
        let server = Server::new(mode, budget);
        for name in names {
            server.add(name, 100, "");
        }
        server.start().await;
        server
    }

    pub(crate) async fn start(&self) {
        assert_eq!(self.core.load_repositories().await, [""; 0]);
        self.core.begin_serving();
        assert!(self.core.is_ready());
        assert_eq!(self.core.ready_count(), 0, "all stand by");
    }

    pub(crate) fn write(&self, path: &str, content: &[u8]) {
        let path = self.repository.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn add(&self, name: &str, bytes: usize, config: &str) {
        // The config last: a model that is looked at meanwhile has it all, or none.
        self.write(&format!("{name}/1/model"), &vec![0; bytes]);
        let config = format!("backend: \"weighing\" {TENSORS} {config}");
        self.write(&format!("{name}/config.pbtxt"), config.as_bytes());
    }

    /// An ensemble of one model, or of another ensemble.
    pub(crate) fn add_ensemble(&self, name: &str, step: &str) {
        let maps = "input_map { key: \"i\" value: \"i\" } output_map { key: \"o\" value: \"o\" }";
        let step = format!("step {{ model_name: \"{step}\" model_version: -1 {maps} }}");
        let config = format!("platform: \"ensemble\" {TENSORS} ensemble_scheduling {{ {step} }}");
        let required = config.replace(" optional: true", "");
        self.write(&format!("{name}/config.pbtxt"), required.as_bytes());
    }

    /// Asks for the model, as a request does.
    pub(crate) async fn ask(&self, name: &str) -> Result<Arc<LoadedModel>> {
        self.core.model_or_load(name, None).await
    }

    /// The names of what serves.
    pub(crate) fn serving(&self) -> Vec<String> {
        let states = self.core.index(true).into_iter();
        let loaded = states.filter(|entry| !self.core.ready_versions(&entry.name).is_empty());
        loaded.map(|entry| entry.name).collect()
    }

    pub(crate) fn metric(&self, name: &str) -> u64 {
        let page = self.core.metrics_page();
        let line = page.lines().find(|line| line.split([' ', '{']).next() == Some(name));
        line.and_then(|line| line.rsplit(' ').next()).map_or(0, |value| value.parse().unwrap())
    }

    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Server) -> bool) {
        let begin = Instant::now();
        while !holds(self) {
            assert!(begin.elapsed() < Duration::from_secs(30), "{what}: {:?}", self.scales);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

pub(crate) async fn infer(model: &LoadedModel) -> Result<Response> {
    let request = InferRequest::new(SmallVec::new());
    model.infer(request)?.only().await
}
