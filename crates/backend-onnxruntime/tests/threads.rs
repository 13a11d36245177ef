//! The number of threads that the engine starts. One test, because it counts those of the process.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use std::time::{Duration, Instant};

use kit::onnx::{Graph, element};
use kit::{Loaded, input, load, numbers};

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// A model with `count` instances, each of which has run once.
fn with_instances(count: usize, parameter: &str) -> (Loaded, Vec<Box<dyn hippocamp_backend::ModelInstance>>) {
    let graph = Graph::default().node("Neg", &["x"], &["y"]).input("x", element::FLOAT, Some(&[2])).output(
        "y",
        element::FLOAT,
        Some(&[2]),
    );
    let model =
        load(graph, &format!("instance_group {{ count: {count} kind: KIND_CPU }} {parameter}")).unwrap();
    let mut instances: Vec<_> = (0..count).map(|_| model.instance()).collect();
    for instance in &mut instances {
        let response =
            kit::execute(&mut **instance, &model.interface, vec![input(&[2], numbers([1f32, 2.]))]);
        assert_eq!(response.unwrap().outputs[0].data, numbers([-1f32, -2.]));
    }
    (model, instances)
}

#[test]
fn models_share_threads_unless_they_name_a_number() {
    let _first = with_instances(1, "");
    let shared = threads();
    let _more: Vec<_> = (0..5).map(|_| with_instances(2, "")).collect();
    assert_eq!(threads(), shared, "models without wishes start no threads");

    let number = "parameters { key: \"intra_op_thread_count\" value { string_value: \"3\" } }";
    let own = with_instances(2, number);
    assert_eq!(threads(), shared + 2 * 2, "each session has 3 threads, of which one is the instance's");
    drop(own);
    // The kernel may list a thread for a moment after it was joined.
    let deadline = Instant::now() + Duration::from_mins(1);
    while threads() != shared {
        assert!(Instant::now() < deadline, "they do not end with it");
        std::thread::yield_now();
    }

    let number = "parameters { key: \"intra_op_thread_count\" value { string_value: \"1\" } }";
    let _alone = with_instances(2, number);
    assert_eq!(threads(), shared);
}
