//! What a config costs when a repository is read: text to config, and config to answer.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use hippocamp_model_config::{DefaultFacts, apply_defaults, parse, to_json, validate};

/// A config as people write them, 40 lines.
const TYPICAL: &str = r#"
# Detects faces; takes pictures as they come from the preprocessing.
name: "detector"
platform: "onnxruntime_onnx"
max_batch_size: 16
input [
  {
    name: "image"
    data_type: TYPE_FP32
    format: FORMAT_NCHW
    dims: [ 3, 640, 640 ]
  }
]
output [
  {
    name: "boxes"
    data_type: TYPE_FP32
    dims: [ -1, 4 ]
  },
  {
    name: "scores"
    data_type: TYPE_FP32
    dims: [ -1 ]
    label_filename: "labels.txt"
  }
]
instance_group [
  { count: 2 kind: KIND_GPU gpus: [ 0, 1 ] }
]
dynamic_batching {
  preferred_batch_size: [ 4, 8, 16 ]
  max_queue_delay_microseconds: 500
}
optimization {
  execution_accelerators {
    gpu_execution_accelerator: [ { name: "tensorrt" parameters { key: "precision_mode" value: "FP16" } } ]
  }
}
parameters { key: "threshold" value: { string_value: "0.25" } }
version_policy: { specific { versions: [ 1, 3 ] } }
"#;

fn pbtxt(criterion: &mut Criterion) {
    let facts = DefaultFacts::default();
    criterion.bench_function("parse", |b| b.iter(|| parse(black_box(TYPICAL), "config.pbtxt")));
    let mut config = parse(TYPICAL, "config.pbtxt").expect("a correct config").config;
    apply_defaults(&mut config, "detector", &facts);
    criterion.bench_function("validate", |b| {
        b.iter(|| validate(black_box(&config), None, "config.pbtxt", "detector"));
    });
    criterion.bench_function("to_json", |b| b.iter(|| to_json(black_box(&config))));
    let large = format!("version_policy {{ specific {{ versions: [ {}1 ] }} }}", "1, ".repeat(100_000));
    criterion.bench_function("parse a long list", |b| b.iter(|| parse(black_box(&large), "config.pbtxt")));
}

criterion_group!(benches, pbtxt);
criterion_main!(benches);
