//! The models of the benches `run` and `bare`.

use bytes::Bytes;

use crate::kit::numbers;
use crate::kit::onnx::{Graph, element};

/// A model whose inputs are INT32 tensors of one shape.
pub(crate) struct BenchModel {
    pub(crate) name: String,
    pub(crate) graph: Graph,
    pub(crate) columns: i64,
    /// One row of each input.
    pub(crate) inputs: Vec<Bytes>,
}

/// Addition and subtraction of 16 numbers; and negation of rows of several sizes, which costs little more than moving
/// them.
pub(crate) fn models() -> Vec<BenchModel> {
    let row = |columns: i64| numbers(0..columns as i32);
    let dims: &[i64] = &[-1, 16];
    let graph = Graph::default()
        .node("Add", &["INPUT0", "INPUT1"], &["OUTPUT0"])
        .node("Sub", &["INPUT0", "INPUT1"], &["OUTPUT1"])
        .input("INPUT0", element::INT32, Some(dims))
        .input("INPUT1", element::INT32, Some(dims))
        .output("OUTPUT0", element::INT32, Some(dims))
        .output("OUTPUT1", element::INT32, Some(dims));
    let mut models =
        vec![BenchModel { name: "add_sub".into(), graph, columns: 16, inputs: vec![row(16), row(16)] }];
    for kib in [4, 16, 64, 256, 1024] {
        let columns = kib * 256;
        let graph = Graph::default()
            .node("Neg", &["x"], &["y"])
            .input("x", element::INT32, Some(&[-1, columns]))
            .output("y", element::INT32, Some(&[-1, columns]));
        models.push(BenchModel { name: format!("{kib} KiB"), graph, columns, inputs: vec![row(columns)] });
    }
    models
}
