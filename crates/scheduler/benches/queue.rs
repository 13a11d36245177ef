//! What it costs to hand a request to an instance thread: push and pull, with 1 to 8 threads pushing at once; and on one
//! thread, while few or many others wait, with and without policies.

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hippocamp_backend::{Batch, Delivery, Observers, Request, ResponseReceiver, channel};
use hippocamp_scheduler::{LevelPolicy, Queue, QueuePolicies, QueueSettings};
use hippocamp_statistics::ModelStatistics;
use smallvec::SmallVec;

fn request(observers: &Arc<Observers>) -> (Request, ResponseReceiver) {
    let now = Instant::now();
    let (response, receiver) = channel(Delivery::Once, now, Arc::clone(observers));
    let request = Request::new(SmallVec::new(), 1, response);
    (request, receiver)
}

/// The time that `producers` threads and one pulling thread need for `count` requests each.
fn hand_over(producers: usize, count: u64) -> Duration {
    let queue = Arc::new(Queue::new(QueueSettings::single()));
    let observers = Observers::counting(&Arc::new(ModelStatistics::default()));
    let begin = Instant::now();
    let threads: Vec<_> = (0..producers)
        .map(|_| {
            let (queue, observers) = (Arc::clone(&queue), Arc::clone(&observers));
            std::thread::spawn(move || {
                let sent = (0..count).map(|_| {
                    let (request, receiver) = request(&observers);
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

/// What the requests of a queue are like.
#[derive(Clone, Copy)]
enum Kind {
    /// Nothing is set.
    Plain,
    /// A default timeout for all.
    Timeout,
    /// A default timeout, and requests that ask for less, each for another one.
    Overrides,
    /// A default timeout, and three priority levels.
    Priorities,
    /// A default timeout; of ten clients nine have hung up.
    Cancelled,
}

impl Kind {
    const ALL: [(&str, Kind); 5] = [
        ("plain", Kind::Plain),
        ("timeout", Kind::Timeout),
        ("overrides", Kind::Overrides),
        ("priorities", Kind::Priorities),
        ("cancelled", Kind::Cancelled),
    ];

    fn queue(self) -> Queue {
        let mut policies = QueuePolicies::default();
        if !matches!(self, Kind::Plain) {
            policies.default = LevelPolicy {
                default_timeout: Some(Duration::from_hours(1)),
                allow_timeout_override: true,
                ..LevelPolicy::default()
            };
        }
        if matches!(self, Kind::Priorities) {
            (policies.levels, policies.default_level) = (3, 2);
        }
        Queue::new(QueueSettings { policies, ..QueueSettings::single() })
    }

    /// The `n`th request, and its client unless that has hung up.
    fn request(self, n: u64, observers: &Arc<Observers>) -> (Request, Option<ResponseReceiver>) {
        let (mut request, client) = request(observers);
        match self {
            Kind::Overrides => request.timeout = Some(Duration::from_secs(600 + n * 7919 % 1800)),
            Kind::Priorities => request.priority = 1 + n % 3,
            Kind::Plain | Kind::Timeout | Kind::Cancelled => {}
        }
        let hung_up = matches!(self, Kind::Cancelled) && !n.is_multiple_of(10);
        (request, (!hung_up).then_some(client))
    }
}

/// One thread that pushes a request and pulls one, while `depth` others wait all the time.
fn depth(c: &mut Criterion) {
    let mut group = c.benchmark_group("depth");
    for (name, kind) in Kind::ALL {
        for depth in [10u64, 1_000, 100_000] {
            group.bench_function(BenchmarkId::new(name, depth), |b| {
                let (queue, observers) =
                    (kind.queue(), Observers::counting(&Arc::new(ModelStatistics::default())));
                let mut clients = std::collections::VecDeque::new();
                let mut n = 0;
                let mut push = |clients: &mut std::collections::VecDeque<_>| {
                    let (request, client) = kind.request(n, &observers);
                    n += 1;
                    drop(queue.push(request));
                    clients.push_back(client);
                };
                for _ in 0..depth {
                    push(&mut clients);
                }
                let mut batch = Batch::new();
                b.iter(|| {
                    push(&mut clients);
                    // The cancelled ones are passed over ten at a time: pull as often as there is one to execute.
                    if clients.back().is_some_and(Option::is_some) {
                        queue.pull(&mut batch);
                        batch.clear();
                    }
                    while clients.len() > 3 * depth as usize + 20 {
                        clients.pop_front();
                    }
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, queue, depth);
criterion_main!(benches);
