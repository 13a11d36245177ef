//! An example of a backend: `double` returns each number doubled.
//!
//! `cargo run -p hippocamp-testing --example backend`. A backend depends on `hippocamp-backend`; the kit in
//! `hippocamp-batching` does the rest for one that computes output tensors from input tensors. One line in
//! `server/src/backends.rs` adds it to the binary.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the command line")]

use std::sync::Arc;

use bytes::Bytes;
use hippocamp_backend::{Backend, Error, InstanceSpec, Model, ModelSource, NewInstance, Result};
use hippocamp_batching::{Batched, Compute, Inputs, Outputs};
use hippocamp_interface::ModelConfig;
use hippocamp_testing::{Repository, TestServer};

/// The backend, of which a process has one. It loads the models whose config names it.
#[derive(Debug)]
struct Double;

impl Backend for Double {
    fn name(&self) -> &'static str {
        "double"
    }

    fn load(&self, source: &ModelSource) -> Result<Box<dyn Model>> {
        // A real backend opens the model file in `source.version_directory`.
        Ok(Box::new(DoubleModel { name: Arc::clone(&source.name) }))
    }
}

/// A loaded version of a model.
struct DoubleModel {
    name: Arc<str>,
}

impl Model for DoubleModel {
    fn complete_config(&self, _: &mut ModelConfig, _default_max_batch_size: i32) -> Result<()> {
        // Nothing to complete: there is no model file that has more information than the config.
        Ok(())
    }

    fn check_config(&self, config: &ModelConfig) -> Result<()> {
        if (config.input.len(), config.output.len()) == (1, 1) {
            return Ok(());
        }
        let (inputs, outputs) = (config.input.len(), config.output.len());
        Err(Error::invalid_arg(format!(
            "model '{}' should have one input and one output, got {inputs} and {outputs}",
            self.name
        )))
    }

    fn new_instance(&self, spec: &InstanceSpec) -> Result<NewInstance> {
        Ok(NewInstance::movable(Batched::new(Doubling, Arc::clone(&spec.interface))))
    }
}

/// Computes batches. Used by one thread at a time, so it could have buffers of its own.
struct Doubling;

impl Compute for Doubling {
    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut Outputs) -> Result<()> {
        let input = inputs[0].as_ref().ok_or_else(|| Error::internal("the input is not optional"))?;
        let (numbers, _) = input.bytes()?.as_chunks::<4>();
        let doubled = numbers.iter().flat_map(|&number| (2.0 * f32::from_le_bytes(number)).to_le_bytes());
        outputs.set(0, input.shape.clone(), doubled.collect::<Bytes>());
        Ok(())
    }
}

const CONFIG: &str = r#"
backend: "double"
max_batch_size: 8
input { name: "IN" data_type: TYPE_FP32 dims: -1 }
output { name: "OUT" data_type: TYPE_FP32 dims: -1 }
dynamic_batching { }
"#;

#[tokio::main]
async fn main() {
    let repository = Repository::default().with("twice", CONFIG);
    let (server, faults) = TestServer::start_with_backends(repository, |_| {}, vec![Arc::new(Double)]).await;
    assert_eq!(faults, [""; 0]);
    let request =
        br#"{"inputs": [{"name": "IN", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3.5]}]}"#;
    let reply = server.post("/v2/models/twice/infer", request).await;
    println!("{}", reply.text());
    assert!(reply.text().contains(r#""data":[2.0,4.0,7.0]"#), "{}", reply.text());
}

#[test]
fn runs() {
    main();
}
