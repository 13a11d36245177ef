//! A backend that fails and panics: one model's trouble stays its own, and is told.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hippocamp_backend::{
    Backend, Batch, Code, Error, ExecutionTimes, InstanceSpec, Model, ModelInstance, ModelSource,
    NewInstance, Response, Result,
};
use hippocamp_core::{ControlMode, InferRequest, InferenceServer, LoadOverrides, Settings, State};
use hippocamp_model_config::ModelConfig;
use smallvec::SmallVec;
use tempfile::TempDir;

/// Fails as often as it is told to, each in its own way, and works then.
#[derive(Debug, Default)]
struct Faulty {
    loads: AtomicUsize,
    load_errors: AtomicUsize,
    load_panics: AtomicUsize,
    /// Shared with the instances, of which a new one is made after every panic.
    execute_panics: Arc<AtomicUsize>,
    instances_made: Arc<AtomicUsize>,
}

/// Whether one is left, which is taken then.
fn take(count: &AtomicUsize) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
}

impl Backend for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn load(&self, _: &ModelSource) -> Result<Box<dyn Model>> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        assert!(!take(&self.load_panics), "told to panic while loading");
        if take(&self.load_errors) {
            return Err(Error::internal("told to fail"));
        }
        Ok(Box::new(FaultyModel {
            panics: Arc::clone(&self.execute_panics),
            made: Arc::clone(&self.instances_made),
        }))
    }
}

struct FaultyModel {
    panics: Arc<AtomicUsize>,
    made: Arc<AtomicUsize>,
}

impl Model for FaultyModel {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, _: &InstanceSpec) -> Result<NewInstance> {
        self.made.fetch_add(1, Ordering::SeqCst);
        Ok(NewInstance::bound(FaultyInstance(Arc::clone(&self.panics))))
    }
}

struct FaultyInstance(Arc<AtomicUsize>);

impl ModelInstance for FaultyInstance {
    fn execute(&mut self, batch: &mut Batch) {
        assert!(!take(&self.0), "told to panic");
        for request in batch.drain(..) {
            request.succeed(Response::default(), &ExecutionTimes::now());
        }
    }
}

/// A server with one model of the backend, which is not loaded yet.
fn server(backend: &Arc<Faulty>, retries: u32) -> (Arc<InferenceServer>, TempDir) {
    let repository = tempfile::tempdir().unwrap();
    fs::create_dir_all(repository.path().join("m/1")).unwrap();
    let config = "backend: \"faulty\"
        input { name: \"i\" data_type: TYPE_FP32 dims: 1 optional: true }
        output { name: \"o\" data_type: TYPE_FP32 dims: 1 }";
    fs::write(repository.path().join("m/config.pbtxt"), config).unwrap();
    let settings = Settings {
        repositories: vec![repository.path().into()],
        control_mode: ControlMode::Explicit,
        model_load_retry_count: retries,
        ..Settings::default()
    };
    let backend: Arc<dyn Backend> = Arc::clone(backend) as _;
    (InferenceServer::new(settings, vec![backend]), repository)
}

async fn infer(server: &InferenceServer) -> Result<Response> {
    let request = InferRequest::new(SmallVec::new());
    server.model("m", None)?.infer(request)?.only().await
}

#[tokio::test]
async fn a_load_is_tried_as_often_as_the_settings_say() {
    let backend = Arc::new(Faulty { load_errors: 2.into(), ..Faulty::default() });
    let (server, _repository) = server(&backend, 1);
    let error = server.load("m", LoadOverrides::default()).await.unwrap_err();
    assert_eq!(
        error.message(),
        "load failed for model 'm': version 1 is at UNAVAILABLE state: Internal: told to fail;\n"
    );
    assert_eq!(backend.loads.load(Ordering::SeqCst), 2, "once, and once more");
    backend.load_errors.store(1, Ordering::SeqCst);
    server.load("m", LoadOverrides::default()).await.unwrap();
    infer(&server).await.unwrap();
    assert_eq!(backend.loads.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_config_that_is_wrong_is_not_tried_again() {
    let backend = Arc::new(Faulty::default());
    let (server, repository) = server(&backend, 3);
    fs::write(repository.path().join("m/config.pbtxt"), "bogus_field: 1").unwrap();
    server.load("m", LoadOverrides::default()).await.unwrap_err();
    fs::remove_dir_all(repository.path().join("m")).unwrap();
    server.load("m", LoadOverrides::default()).await.unwrap_err();
    assert_eq!(backend.loads.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_panic_while_loading_fails_the_version_and_says_so() {
    let backend = Arc::new(Faulty { load_panics: 1.into(), ..Faulty::default() });
    let (server, _repository) = server(&backend, 0);
    let error = server.load("m", LoadOverrides::default()).await.unwrap_err();
    assert!(error.message().contains("the backend panicked while loading the model"), "{error}");
    let (_, state) = server.index(false)[0].version.clone().unwrap();
    assert_eq!(state.state, State::Unavailable, "not loading for ever");
    server.load("m", LoadOverrides::default()).await.unwrap();
    infer(&server).await.unwrap();
}

#[tokio::test]
async fn a_panic_while_executing_answers_the_batch_and_the_instance_is_made_anew() {
    let backend = Arc::new(Faulty { execute_panics: Arc::new(1.into()), ..Faulty::default() });
    let (server, _repository) = server(&backend, 0);
    server.load("m", LoadOverrides::default()).await.unwrap();
    let error = infer(&server).await.unwrap_err();
    assert_eq!(error.code(), Code::Internal);
    assert!(error.message().contains("panicked: told to panic"), "{error}");
    infer(&server).await.unwrap();
    assert_eq!(backend.instances_made.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_config_that_went_bad_leaves_what_serves_and_is_told_in_the_index() {
    let (server, repository) = server(&Arc::default(), 0);
    server.load("m", LoadOverrides::default()).await.unwrap();
    fs::write(repository.path().join("m/config.pbtxt"), "bogus_field: 1").unwrap();
    server.load("m", LoadOverrides::default()).await.unwrap_err();
    infer(&server).await.unwrap();
    let (_, state) = server.index(false)[0].version.clone().unwrap();
    assert_eq!(state.state, State::Ready);
    assert!(state.reason.contains("bogus_field"), "{}", state.reason);
}
