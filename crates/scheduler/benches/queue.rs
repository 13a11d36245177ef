//! What it costs to hand a request to an instance thread: push and pull, with 1 to 8 threads pushing at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hippocamp_backend::{
    Batch, Delivery, ModelStatistics, Parameters, Request, ResponseReceiver, WantedOutputs, channel,
};
use hippocamp_scheduler::{Queue, QueueSettings};
use smallvec::SmallVec;

fn request(statistics: &Arc<ModelStatistics>) -> (Request, ResponseReceiver) {
    let now = Instant::now();
    let (response, receiver) = channel(Delivery::Once, now, Arc::clone(statistics));
    let request = Request {
        id: "".into(),
        inputs: SmallVec::new(),
        outputs: WantedOutputs::ALL,
        parameters: Parameters::default(),
        batch_size: 1,
        priority: 0,
        timeout: None,
        sequence: None,
        queued: now,
        response,
    };
    (request, receiver)
}

/// The time that `producers` threads and one pulling thread need for `count` requests each.
fn hand_over(producers: usize, count: u64) -> Duration {
    let queue = Arc::new(Queue::new(QueueSettings::single()));
    let statistics = Arc::new(ModelStatistics::default());
    let begin = Instant::now();
    let threads: Vec<_> = (0..producers)
        .map(|_| {
            let (queue, statistics) = (Arc::clone(&queue), Arc::clone(&statistics));
            std::thread::spawn(move || {
                let sent = (0..count).map(|_| {
                    let (request, receiver) = request(&statistics);
                    drop(queue.push(request));
                    receiver
                });
                sent.collect::<Vec<_>>()
            })
        })
        .collect();
    let mut batch = Batch::new();
    for _ in 0..producers as u64 * count {
        queue.pull(&mut batch);
        batch.clear();
    }
    let time = begin.elapsed();
    for thread in threads {
        drop(thread.join());
    }
    time
}

fn queue(c: &mut Criterion) {
    let mut group = c.benchmark_group("queue");
    for producers in [1usize, 2, 8] {
        group.throughput(Throughput::Elements(producers as u64));
        group.bench_function(BenchmarkId::new("producers", producers), |b| {
            b.iter_custom(|count| hand_over(producers, count));
        });
    }
    group.finish();
}

criterion_group!(benches, queue);
criterion_main!(benches);
