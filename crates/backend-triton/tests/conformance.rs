//! Runs the conformance kit on the backend in C.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use std::sync::Arc;

use bytes::Bytes;
use hippocamp_backend::{Backend, InputTensor, Model, ModelSource};
use hippocamp_backend_triton::TritonBackends;
use hippocamp_batching::conformance::{Example, Subject};
use hippocamp_model_config::{DefaultFacts, Interface, ModelConfig, apply_defaults, parse};
use hippocamp_tensor::Shape;
use kit::{Backends, TENSORS, config};

/// Numbers that tell which request they belong to.
fn numbers(n: usize, count: usize) -> Bytes {
    (0..count).flat_map(|i| ((n * 1000 + i) as i32).to_le_bytes()).collect()
}

fn input(shape: &[i64], data: Bytes) -> InputTensor {
    InputTensor { shape: Shape::from(shape), data: data.into() }
}

fn verify(text: &str) {
    let backends = Backends::with_probe("libtritonserver.so");
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("m/1")).unwrap();
    let mut config = parse(text, "config.pbtxt").unwrap().config;
    config.name = "m".into();
    apply_defaults(&mut config, "m", &DefaultFacts::default());
    let source = ModelSource {
        name: "m".into(),
        version: 1,
        model_directory: folder.path().join("m"),
        version_directory: folder.path().join("m/1"),
        config: Arc::new(config.clone()),
    };
    let model = TritonBackends::new(backends.settings()).load(&source).unwrap();
    check(&*model, config);
}

fn check(model: &dyn Model, mut config: ModelConfig) {
    model.complete_config(&mut config, 4).unwrap();
    model.check_config(&config).unwrap();
    let batched = config.max_batch_size > 0;
    let interface = Arc::new(Interface::new(&config).unwrap());
    let make = move |n: usize, rows: usize, columns: usize| {
        let shape: &[i64] = if batched { &[rows as i64, columns as i64] } else { &[columns as i64] };
        let data = numbers(n, if batched { rows * columns } else { columns });
        Example {
            inputs: vec![Some(input(shape, data.clone()))],
            responses: vec![vec![Some((Shape::from(shape), data))]],
        }
    };
    let example = move |n: usize, rows: usize| make(n, rows, 5);
    let empty = move |n: usize, rows: usize| make(n, rows, 0);
    let mut subject = Subject::new(model, Arc::new(config), interface, &example);
    subject.empty = Some(&empty);
    let beast = Bytes::from((-666_i32).to_le_bytes().to_vec());
    subject.failing = Some(vec![Some(input(if batched { &[1, 1] } else { &[1] }, beast))]);
    subject.verify();
}

#[test]
fn answered_at_once() {
    verify(&config("echo", TENSORS));
}

#[test]
fn answered_later_by_another_thread() {
    verify(&config("deferred", TENSORS));
}

#[test]
fn without_batches() {
    verify(&config("echo", &TENSORS.replace("max_batch_size: 8", "max_batch_size: 0")));
}
