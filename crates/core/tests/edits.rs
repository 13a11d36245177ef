//! Edits of a config that the engine does not read: the model is not loaded again for them, and nobody notices.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use hippocamp_backend::{
    Backend, Batch, Error, ExecutionTimes, InstanceSpec, Model, ModelInstance, ModelSource, NewInstance,
    Response, Result, count_execution,
};
use hippocamp_core::{ControlMode, InferRequest, InferenceServer, LoadOverrides, Settings, State};
use hippocamp_model_config::ModelConfig;
use smallvec::SmallVec;
use tempfile::TempDir;

/// Counts what is loaded and made.
#[derive(Clone, Debug, Default)]
struct Counting(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    loads: AtomicUsize,
    made: AtomicUsize,
    /// Instances that are there.
    alive: AtomicUsize,
    /// Instances are not to be made.
    refuses: AtomicBool,
    executed: AtomicUsize,
}

struct Counted(Counting);

impl Backend for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn load(&self, _: &ModelSource) -> Result<Box<dyn Model>> {
        self.0.loads.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(self.clone()))
    }
}

impl Model for Counting {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, _: &InstanceSpec) -> Result<NewInstance> {
        if self.0.refuses.load(Ordering::SeqCst) {
            return Err(Error::internal("told to fail"));
        }
        self.0.made.fetch_add(1, Ordering::SeqCst);
        self.0.alive.fetch_add(1, Ordering::SeqCst);
        Ok(NewInstance::bound(Counted(self.clone())))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl ModelInstance for Counted {
    fn execute(&mut self, batch: &mut Batch) {
        let times = ExecutionTimes::now();
        count_execution(batch, &times);
        self.0.0.executed.fetch_add(batch.len(), Ordering::SeqCst);
        for request in batch.drain(..) {
            request.succeed(Response::default(), &times);
        }
    }
}

/// A server with one model `m` of the backend.
struct Server {
    core: Arc<InferenceServer>,
    counts: Arc<Counts>,
    repository: TempDir,
}

const TENSORS: &str = "backend: \"counting\" max_batch_size: 4
    input { name: \"i\" data_type: TYPE_FP32 dims: 1 optional: true }
    output { name: \"o\" data_type: TYPE_FP32 dims: 1 }";

impl Server {
    async fn new(config: &str) -> Server {
        let repository = tempfile::tempdir().unwrap();
        let backend = Counting::default();
        let counts = Arc::clone(&backend.0);
        let settings = Settings {
            repositories: vec![repository.path().into()],
            control_mode: ControlMode::Explicit,
            ..Settings::default()
        };
        let server =
            Server { core: InferenceServer::new(settings, vec![Arc::new(backend)]), counts, repository };
        server.add_version(1);
        server.load(config).await.unwrap();
        assert_eq!(server.counted().0, 1);
        server
    }

    fn add_version(&self, version: u64) {
        let folder = self.repository.path().join("m").join(version.to_string());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("model"), version.to_string()).unwrap();
    }

    /// Writes the config and has the model loaded.
    async fn load(&self, config: &str) -> Result<()> {
        let path = self.repository.path().join("m/config.pbtxt");
        fs::write(path, format!("{TENSORS} {config}")).unwrap();
        self.core.load("m", LoadOverrides::default()).await
    }

    /// Loads, and instances made.
    fn counted(&self) -> (usize, usize) {
        (self.counts.loads.load(Ordering::SeqCst), self.counts.made.load(Ordering::SeqCst))
    }

    async fn settle(&self, instances: usize) {
        let begin = Instant::now();
        while self.counts.alive.load(Ordering::SeqCst) != instances {
            assert!(begin.elapsed().as_secs() < 30, "{} instances", self.counts.alive.load(Ordering::SeqCst));
            tokio::task::yield_now().await;
        }
    }

    fn successes(&self) -> u64 {
        self.core.statistics("m", None).unwrap()[0].counters.success.count
    }
}

async fn infer(server: &InferenceServer) -> Result<Response> {
    let request = InferRequest::new(SmallVec::new());
    server.model("m", None)?.infer(request)?.only().await
}

fn instances(count: usize) -> String {
    format!("instance_group {{ count: {count} kind: KIND_CPU }}")
}

#[tokio::test]
async fn the_number_of_instances_changes_without_a_load() {
    let server = Server::new(&instances(1)).await;
    infer(&server.core).await.unwrap();
    server.load(&instances(3)).await.unwrap();
    assert_eq!(server.counted(), (1, 3), "two were missing");
    server.load(&instances(2)).await.unwrap();
    assert_eq!(server.counted(), (1, 3));
    server.settle(2).await;
    infer(&server.core).await.unwrap();
    assert_eq!(server.successes(), 2, "it goes on counting");
    server.core.unload("m", false).await.unwrap();
    assert_eq!(server.counts.alive.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn settings_of_the_scheduler_and_the_server_change_without_an_instance() {
    let server = Server::new("").await;
    for config in [
        "dynamic_batching { max_queue_delay_microseconds: 100 }",
        "dynamic_batching { priority_levels: 2 default_priority_level: 1 }",
        "dynamic_batching { preserve_ordering: true }",
        "dynamic_batching { default_queue_policy { default_timeout_microseconds: 100000000 } }",
        "response_cache { enable: true }",
        "metric_tags { key: \"a\" value: \"b\" }",
        "version_policy { all { } }",
        "",
    ] {
        server.load(config).await.unwrap_or_else(|e| panic!("{config}: {e}"));
        infer(&server.core).await.unwrap();
        assert_eq!(server.counted(), (1, 1), "{config}");
    }
    let config = &server.core.model("m", None).unwrap().config;
    assert!(config.metric_tags.is_empty(), "what is told is the last");
}

#[tokio::test]
async fn what_the_engine_may_have_read_is_loaded_anew() {
    let server = Server::new("").await;
    let mut loads = 1;
    for config in [
        "parameters { key: \"a\" value { string_value: \"b\" } }",
        "optimization { graph { level: 1 } }",
        // Nothing changed, and somebody asks for it all the same.
        "optimization { graph { level: 1 } }",
    ] {
        server.load(config).await.unwrap();
        loads += 1;
        assert_eq!(server.counted(), (loads, loads), "{config}");
        assert_eq!(server.successes(), 0, "{config}");
        infer(&server.core).await.unwrap();
    }
    fs::write(server.repository.path().join("m/1/model"), "another").unwrap();
    server.load(&instances(2)).await.unwrap();
    assert_eq!(server.counted().0, loads + 1, "its file changed");
    fs::write(server.repository.path().join("m/tokens"), "beside the versions").unwrap();
    server.load(&instances(1)).await.unwrap();
    assert_eq!(server.counted().0, loads + 2);
}

#[tokio::test]
async fn a_version_comes_and_goes_and_the_others_stay() {
    let all = "version_policy { all { } }";
    let server = Server::new(all).await;
    infer(&server.core).await.unwrap();
    server.add_version(2);
    server.load(all).await.unwrap();
    assert_eq!(server.counted(), (2, 2), "the new one");
    assert_eq!(server.core.ready_versions("m").len(), 2);
    assert_eq!(server.successes(), 1);
    fs::remove_dir_all(server.repository.path().join("m/2")).unwrap();
    server.load(all).await.unwrap();
    assert_eq!(server.counted(), (2, 2));
    server.settle(1).await;
    assert_eq!(server.core.ready_versions("m").len(), 1);
    infer(&server.core).await.unwrap();
    server.add_version(3);
    server.load("").await.unwrap();
    assert_eq!(server.counted(), (3, 3));
    server.settle(1).await;
}

#[tokio::test]
async fn an_edit_that_fails_leaves_what_serves() {
    let server = Server::new(&instances(1)).await;
    server.counts.refuses.store(true, Ordering::SeqCst);
    server.load(&instances(2)).await.unwrap_err();
    infer(&server.core).await.unwrap();
    server.counts.refuses.store(false, Ordering::SeqCst);
    server.load(&instances(2)).await.unwrap();
    assert_eq!(server.counted(), (1, 2));
    infer(&server.core).await.unwrap();
    let (_, state) = server.core.index(false)[0].version.clone().unwrap();
    assert_eq!((state.state, &*state.reason), (State::Ready, ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_is_lost_or_answered_twice_while_settings_change() {
    let server = Server::new(&instances(1)).await;
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let mut clients = Vec::new();
    for _ in 0..6 {
        let (core, stop, answered) = (Arc::clone(&server.core), Arc::clone(&stop), Arc::clone(&answered));
        clients.push(tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                infer(&core).await.unwrap();
                answered.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }
    let schedulers = ["", "dynamic_batching { }", "dynamic_batching { preserve_ordering: true }"];
    for edit in 0..60 {
        let before = answered.load(Ordering::SeqCst);
        let count = [3, 1, 2, 4][edit % 4];
        server.load(&format!("{} {}", instances(count), schedulers[edit % 3])).await.unwrap();
        while answered.load(Ordering::SeqCst) < before + 12 {
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    let answered = answered.load(Ordering::SeqCst);
    assert_eq!(server.counts.executed.load(Ordering::SeqCst), answered);
    assert_eq!(server.successes(), answered as u64);
    assert_eq!(server.counted().0, 1);
}
