//! The engine's messages about a running model in the log. One test, because there is one log.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use std::io::{self, Write};
use std::sync::Arc;

use kit::onnx::{Graph, element};
use kit::{input, load, numbers};
use parking_lot::Mutex;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// The lines about an output whose shape is wrong.
    fn of_shapes(&self) -> Vec<String> {
        self.with("does not match actual shape")
    }

    fn with(&self, words: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().clone()).unwrap();
        text.lines().filter(|line| line.contains(words)).map(str::to_owned).collect()
    }
}

/// The lines about results that depend on the others of a batch, of a model with that in its config.
fn of_shared_batches(lines: &Lines, config: &str) -> usize {
    let graph = Graph::default()
        .node("DynamicQuantizeLinear", &["x"], &["q", "scale", "zero"])
        .node("DequantizeLinear", &["q", "scale", "zero"], &["y"])
        .input("x", element::FLOAT, Some(&[-1, 4]))
        .output("y", element::FLOAT, Some(&[-1, 4]));
    let before = lines.with("share a batch").len();
    load(graph, config).unwrap();
    lines.with("share a batch").len() - before
}

#[test]
fn what_a_model_does_is_told_once() {
    let lines = Lines::default();
    let to = lines.clone();
    tracing_subscriber::fmt().json().with_writer(move || to.clone()).init();
    let graph = || {
        let declared = Some(&[1, 4][..]);
        let graph = Graph::default().node("Neg", &["x"], &["y"]).node("Abs", &["x"], &["z"]);
        let graph = graph.input("x", element::FLOAT, Some(&[-1, -1]));
        graph.output("y", element::FLOAT, declared).output("z", element::FLOAT, declared)
    };
    let run = |model: &kit::Loaded| {
        for rows in [2, 3, 2, 5] {
            let response = model.run(vec![input(&[rows, 4], numbers(vec![1f32; 4 * rows as usize]))]);
            assert_eq!(response.unwrap().outputs[0].data, numbers(vec![-1f32; 4 * rows as usize]));
        }
    };
    let config = "max_batch_size: 0 input { name: \"x\" data_type: TYPE_FP32 dims: [-1, -1] } \
                  output { name: \"y\" data_type: TYPE_FP32 dims: [1, 4] } \
                  output { name: \"z\" data_type: TYPE_FP32 dims: [1, 4] }";
    let model = load(graph(), config).unwrap();
    run(&model);
    let told = lines.of_shapes();
    assert_eq!(told.len(), 2, "one for each output: {told:#?}");
    assert!(told.iter().all(|line| line.contains("\"model\":\"m\"")), "{told:#?}");

    // Messages are logged again after a reload.
    drop(model);
    run(&load(graph(), config).unwrap());
    assert_eq!(lines.of_shapes().len(), 4);

    assert_eq!(of_shared_batches(&lines, "max_batch_size: 4 dynamic_batching { }"), 1);
    assert_eq!(of_shared_batches(&lines, "max_batch_size: 1 dynamic_batching { }"), 0);
    assert_eq!(lines.with("its DynamicQuantizeLinear measures").len(), 1);
}
