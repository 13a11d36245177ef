//! Warm-up: what instances run before they serve, and what comes of a sample that fails.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::sync::{Arc, Mutex};

use hippocamp_backend::{
    Backend, Batch, Error, ExecutionTimes, FailureReason, InstanceSpec, Model, ModelInstance, ModelSource,
    NewInstance, Response, Result,
};
use hippocamp_core::{ControlMode, InferenceServer, LoadOverrides, Settings};
use hippocamp_model_config::ModelConfig;
use hippocamp_tensor::Shape;
use tempfile::TempDir;

/// An execution: the instance's number, and of each request the shape and content of each input.
type Execution = (usize, Vec<Vec<(Shape, Vec<u8>)>>);

/// Writes down what it executes. Answers nothing but an error if the first byte of a batch is 66.
#[derive(Clone, Debug, Default)]
struct Recorder(Arc<Mutex<Vec<Execution>>>, usize);

impl Backend for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }

    fn load(&self, _: &ModelSource) -> Result<Box<dyn Model>> {
        Ok(Box::new(self.clone()))
    }
}

impl Model for Recorder {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, spec: &InstanceSpec) -> Result<NewInstance> {
        Ok(NewInstance::bound(Recorder(Arc::clone(&self.0), spec.index)))
    }
}

impl ModelInstance for Recorder {
    fn execute(&mut self, batch: &mut Batch) {
        let mut seen = Vec::new();
        for request in batch.drain(..) {
            let inputs = request.inputs.iter().flatten();
            let inputs: Vec<_> =
                inputs.map(|i| (i.shape.clone(), i.data.to_host().unwrap().to_vec())).collect();
            let fails = inputs.first().is_some_and(|(_, data)| data.first() == Some(&66));
            seen.push(inputs);
            if fails {
                request.fail(Error::internal("told to fail"), FailureReason::Backend);
            } else {
                request.succeed(Response::default(), &ExecutionTimes::now());
            }
        }
        self.0.lock().unwrap().push((self.1, seen));
    }
}

/// Loads model `m` with this config and these files in its folder `warmup`: what was executed until it was loaded.
async fn load(
    config: &str,
    files: &[(&str, &[u8])],
) -> (Result<Vec<Execution>>, Arc<InferenceServer>, TempDir) {
    let repository = tempfile::tempdir().unwrap();
    let folder = repository.path().join("m");
    fs::create_dir_all(folder.join("1")).unwrap();
    fs::create_dir_all(folder.join("warmup")).unwrap();
    fs::write(folder.join("config.pbtxt"), format!("backend: \"recorder\" {config}")).unwrap();
    for (name, content) in files {
        fs::write(folder.join("warmup").join(name), content).unwrap();
    }
    let settings = Settings {
        repositories: vec![repository.path().into()],
        control_mode: ControlMode::Explicit,
        ..Settings::default()
    };
    let recorder = Recorder::default();
    let executions = Arc::clone(&recorder.0);
    let server = InferenceServer::new(settings, vec![Arc::new(recorder)]);
    let loaded = server.load("m", LoadOverrides::default()).await;
    let executions = std::mem::take(&mut *executions.lock().unwrap());
    (loaded.map(|()| executions), server, repository)
}

const TENSORS: &str = r#"
    input { name: "a" data_type: TYPE_INT32 dims: [ -1 ] }
    input { name: "b" data_type: TYPE_STRING dims: [ 2 ] optional: true }
    output { name: "o" data_type: TYPE_INT32 dims: 1 }"#;

fn sample(more: &str, data: &str) -> String {
    format!(
        "model_warmup {{ name: \"first sample\" {more}
            inputs {{ key: \"a\" value {{ data_type: TYPE_INT32 dims: 3 {data} }} }} }}"
    )
}

#[tokio::test]
async fn every_instance_runs_every_sample_as_often_as_it_says() {
    let strings = "model_warmup { name: \"strings\" batch_size: 1
        inputs { key: \"a\" value { data_type: TYPE_INT32 dims: 1 random_data: true } }
        inputs { key: \"b\" value { data_type: TYPE_STRING dims: 2 random_data: true } } }";
    let config = format!(
        "max_batch_size: 8 instance_group {{ count: 2 kind: KIND_CPU }} {TENSORS} {} {strings}",
        sample("batch_size: 3 count: 2", "zero_data: true")
    );
    let (executions, server, _repository) = load(&config, &[]).await;
    let executions = executions.unwrap();
    for instance in 0..2 {
        let own: Vec<_> = executions.iter().filter(|(index, _)| *index == instance).collect();
        let zeros = vec![(Shape::from([1, 3]), vec![0; 12])];
        assert_eq!(own.len(), 3);
        assert_eq!(own[0].1, vec![zeros.clone(); 3]);
        assert_eq!(own[1].1, vec![zeros; 3]);
        let [request] = own[2].1.as_slice() else { panic!("{:?}", own[2]) };
        assert_eq!(request[0].0, Shape::from([1, 1]));
        assert_eq!(request[1], (Shape::from([1, 2]), vec![0; 8]), "strings are empty");
    }
    let counters = &server.statistics("m", None).unwrap()[0].counters;
    assert_eq!((counters.success.count, counters.execution_count), (0, 0), "no client asked for it");
}

#[tokio::test]
async fn a_model_without_a_batch_dimension_gets_one_request_at_a_time() {
    let config = format!("{TENSORS} {}", sample("batch_size: 2", "input_data_file: \"a.raw\""));
    let content: Vec<u8> = (0..16).collect();
    let (executions, _server, _repository) = load(&config, &[("a.raw", &content)]).await;
    let request = vec![(Shape::from([3]), content[..12].to_vec())];
    assert_eq!(executions.unwrap(), vec![(0, vec![request]); 2]);
}

#[tokio::test]
async fn a_sample_without_a_batch_size_is_skipped() {
    let config = format!("{TENSORS} {}", sample("", "zero_data: true"));
    let (executions, _server, _repository) = load(&config, &[]).await;
    assert_eq!(executions.unwrap(), []);
}

#[tokio::test]
async fn what_the_server_adds_is_there_too() {
    let config = "max_batch_size: 8
        input { name: \"a\" data_type: TYPE_INT32 dims: [ -1 ] allow_ragged_batch: true }
        batch_input { kind: BATCH_ELEMENT_COUNT target_name: \"n\" data_type: TYPE_INT32 source_input: \"a\" }
        output { name: \"o\" data_type: TYPE_INT32 dims: 1 }";
    let config = format!("{config} {}", sample("batch_size: 2", "zero_data: true"));
    let (executions, _server, _repository) = load(&config, &[]).await;
    // Facts of a batch are made when it is gathered, not here.
    assert_eq!(executions.unwrap()[0].1, vec![vec![(Shape::from([1, 3]), vec![0; 12])]; 2]);
}

#[tokio::test]
async fn a_sample_that_fails_fails_the_load() {
    let config = format!("{TENSORS} {}", sample("batch_size: 1", "input_data_file: \"bad\""));
    let failing = [66; 12];
    for (file, content, expected) in [
        ("bad", &failing[..], "Invalid argument: failed to run warmup sample 'first sample': told to fail; "),
        (
            "bad",
            &failing[..5],
            "warmup setting expects 12 bytes, but the data provided from bad only has 5 bytes",
        ),
        ("good", &failing[..], "failed to read warmup data '"),
    ] {
        let (loaded, server, _repository) = load(&config, &[(file, content)]).await;
        let error = loaded.unwrap_err();
        assert!(error.message().contains(expected), "{error}");
        assert!(server.model("m", None).is_err(), "it is not served");
    }
}

#[tokio::test]
async fn a_sample_that_is_no_request_fails_the_load() {
    for (from, to, expected) in [
        (
            "TYPE_INT32 dims: 3",
            "TYPE_FP32 dims: 3",
            "expects data type TYPE_INT32 for input 'a' of model 'm', got TYPE_FP32",
        ),
        (
            "TYPE_INT32 dims: 3",
            "TYPE_INT32 dims: [ 3, 1 ]",
            "expects shape [-1] for input 'a' of model 'm', got [3,1]",
        ),
        ("key: \"a\"", "key: \"b\"", "has no data for input 'a' of model 'm'"),
    ] {
        let config = format!("{TENSORS} {}", sample("batch_size: 1", "zero_data: true").replace(from, to));
        let error = load(&config, &[]).await.0.unwrap_err();
        assert!(error.message().contains(expected), "{error}");
    }
    let nothing = format!("{TENSORS} model_warmup {{ name: \"none\" batch_size: 1 }}");
    let error = load(&nothing, &[]).await.0.unwrap_err();
    assert!(
        error.message().contains("warmup sample 'none' has no data for input 'a' of model 'm'"),
        "{error}"
    );
}
