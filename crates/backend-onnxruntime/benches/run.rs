//! Measures the overhead of an execution beyond the engine's own time. Compare with the bench `bare`, which only runs
//! the same models by the safe interface of the crate `ort`.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

#[path = "../tests/kit/mod.rs"]
mod kit;
mod models;

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hippocamp_backend::{Batch, Delivery, Request, ResponseReceiver, channel};
use kit::{Loaded, input, load};
use models::{BenchModel, models};

/// A batch of requests with one row each.
fn batch(model: &BenchModel, rows: usize) -> (Batch, Vec<ResponseReceiver>) {
    (0..rows)
        .map(|_| {
            let (response, receiver) = channel(Delivery::Once, Instant::now(), std::sync::Arc::default());
            let inputs =
                model.inputs.iter().map(|content| input(&[1, model.columns], content.clone())).collect();
            let request = Request::new(inputs, 1, response);
            (request, receiver)
        })
        .unzip()
}

fn execute(c: &mut Criterion) {
    let mut group = c.benchmark_group("execute");
    for bench in models() {
        let loaded: Loaded = load(bench.graph.clone(), "max_batch_size: 8").unwrap();
        let mut instance = loaded.instance();
        for rows in [1, 8] {
            group.throughput(Throughput::Elements(rows));
            group.bench_function(format!("{} by {rows}", bench.name), |b| {
                // Each response is dropped before the next execution, as usual in a server, but outside of the measured
                // time.
                b.iter_custom(|iterations| {
                    let mut time = Duration::ZERO;
                    for _ in 0..iterations {
                        let (mut batch, receivers) = batch(&bench, rows as usize);
                        let start = Instant::now();
                        instance.execute(&mut batch);
                        time += start.elapsed();
                        drop(receivers);
                    }
                    time
                });
            });
        }
    }
}

criterion_group!(benches, execute);
criterion_main!(benches);
