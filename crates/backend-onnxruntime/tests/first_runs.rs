//! The memory of the first runs of a model. One test, because it measures the memory of the process.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use kit::onnx::{Graph, element};
use kit::{execute, input, load, numbers};

const MIB: usize = 1 << 20;
const WIDE: usize = 4096;
const ROWS: usize = 2048;

/// y = the sum of x + 1 over a wide row, with tensors of 8, 16 and 32 MiB between operators.
fn growing() -> Graph {
    let wide = WIDE as i64;
    Graph::default()
        .node("Add", &["x", "row"], &["a"])
        .node_with("Concat", &["a", "a"], &["b"], &[("axis", 1)])
        .node_with("Concat", &["b", "b"], &["c"], &[("axis", 1)])
        .node("MatMul", &["c", "column"], &["y"])
        .input("x", element::FLOAT, Some(&[-1, 1]))
        .initializer("row", element::FLOAT, &[1, wide / 4], &numbers(vec![1f32; WIDE / 4]))
        .initializer("column", element::FLOAT, &[wide, 1], &numbers(vec![1f32; WIDE]))
        .output("y", element::FLOAT, Some(&[-1, 1]))
}

/// Anonymous resident memory of this process in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// In pieces the tensors take 56 MiB, and beside them one block of the 48 that are needed at once.
#[test]
fn the_pieces_of_the_first_run_are_released() {
    let loaded = load(growing(), &format!("max_batch_size: {ROWS}")).unwrap();
    let mut instance = loaded.instance();
    let before = resident();
    let mut taken = Vec::new();
    for _ in 0..3 {
        let x = input(&[ROWS as i64, 1], numbers(vec![1f32; ROWS]));
        let response = execute(&mut *instance, &loaded.interface, vec![x]).unwrap();
        assert_eq!(response.outputs[0].data.to_host().unwrap()[..4], (2. * WIDE as f32).to_le_bytes());
        taken.push(resident().saturating_sub(before) / MIB);
    }
    assert!(taken[2] < 80, "runs of 48 MiB take {taken:?} MiB");
}
