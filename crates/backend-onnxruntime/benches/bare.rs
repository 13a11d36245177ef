//! Runs the models of the bench `run` by the safe interface of the crate `ort`, as the baseline.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

#[path = "../tests/kit/mod.rs"]
mod kit;
mod models;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ort::environment::GlobalThreadPoolOptions;
use ort::session::{Session, SessionInputValue};
use ort::value::TensorRef;

fn session_run(c: &mut Criterion) {
    let builder = ort::init_from(kit::library()).unwrap();
    let threads = std::thread::available_parallelism().unwrap().get();
    let pool = GlobalThreadPoolOptions::default().with_spin_control(false).unwrap();
    let pool = pool.with_intra_threads(threads).unwrap().with_inter_threads(1).unwrap();
    let environment = builder.with_global_thread_pool(pool).build().unwrap();
    let mut group = c.benchmark_group("session_run");
    for bench in models::models() {
        let mut builder = Session::builder(&environment).unwrap();
        let mut session = builder.commit_from_memory(&bench.graph.clone().encode()).unwrap();
        for rows in [1, 8] {
            let joined: Vec<Vec<i32>> = bench
                .inputs
                .iter()
                .map(|row| {
                    row.repeat(rows).chunks(4).map(|v| i32::from_le_bytes(v.try_into().unwrap())).collect()
                })
                .collect();
            let shape = [rows as i64, bench.columns];
            group.throughput(Throughput::Elements(rows as u64));
            group.bench_function(format!("{} by {rows}", bench.name), |b| {
                b.iter(|| {
                    let values: Vec<SessionInputValue<'_>> = joined
                        .iter()
                        .map(|input| TensorRef::from_array_view((shape, input.as_slice())).unwrap().into())
                        .collect();
                    let outputs = session.run(values.as_slice()).unwrap();
                    for (_, output) in &outputs {
                        let (shape, data) = output.try_extract_tensor::<i32>().unwrap();
                        black_box((shape.len(), data.first()));
                    }
                });
            });
        }
    }
}

criterion_group!(benches, session_run);
criterion_main!(benches);
