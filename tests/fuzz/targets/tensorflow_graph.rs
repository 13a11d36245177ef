//! Any bytes that are the file of a TensorFlow graph are read, and the graph is followed, without a panic and without end.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|content: &[u8]| {
    let unfed = hippocamp_backend_tensorflow::fuzzing::graph(content);
    assert!(unfed <= content.len());
});
