//! The threads that send requests, each with a runtime and connections of its own.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use hippocamp_client::Result;
use parking_lot::Mutex;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};

use crate::calls::Calls;
use crate::connect::{Part, open, start};
use crate::control::{Control, Phase};
use crate::failure;
use crate::pace::{Pace, Schedule};
use crate::plan::{Load, Plan, share};
use crate::record::Record;
use crate::worker::Worker;

/// Random times are the same in every run, and others for each thread.
const SEED: u64 = 7;

/// The running threads of a measurement.
#[derive(Debug)]
pub(crate) struct Threads {
    records: Vec<Arc<Mutex<Record>>>,
    /// Closed when the last thread has ended.
    alive: mpsc::Receiver<()>,
}

/// Numbers of requests.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) warm_up: u64,
}

impl Counts {
    /// The number of requests that were answered, or not measured.
    pub(crate) fn ended_well(self) -> u64 {
        self.answered + self.warm_up
    }

    /// The number of all requests that have ended.
    pub(crate) fn all(self) -> u64 {
        self.answered + self.failed + self.warm_up
    }
}

/// What a thread begins with.
struct Begin {
    plan: Arc<Plan>,
    load: Load,
    number: u32,
    /// How many threads there are.
    of: u32,
    control: Arc<Control>,
    record: Arc<Mutex<Record>>,
    /// Dropped when the thread ends.
    _alive: mpsc::Sender<()>,
}

impl Threads {
    /// Starts so many threads, and waits until all have connected.
    pub(crate) async fn start(
        plan: &Arc<Plan>,
        control: &Arc<Control>,
        load: Load,
        count: u32,
    ) -> Result<Threads> {
        let (sender, alive) = mpsc::channel(1);
        let mut records = Vec::new();
        let mut waiting = Vec::new();
        for number in 0..count {
            let (connected, connects) = oneshot::channel();
            let record = Arc::new(Mutex::new(Record::default()));
            let begin = Begin {
                plan: Arc::clone(plan),
                load,
                number,
                of: count,
                control: Arc::clone(control),
                record: Arc::clone(&record),
                _alive: sender.clone(),
            };
            records.push(record);
            waiting.push(connects);
            let thread = std::thread::Builder::new().name(format!("bench {number}"));
            if let Err(why) = thread.spawn(move || begin.run(connected)) {
                return failure(format!("a thread cannot be started: {why}"));
            }
        }
        for connects in waiting {
            match connects.await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => {
                    let server = &plan.encoder.authority;
                    return failure(format!("a connection to {server} cannot be opened: {why}"));
                }
                Err(_) => return failure("a thread ended before it had connected"),
            }
        }
        Ok(Threads { records, alive })
    }

    /// The requests of all threads.
    pub(crate) fn record(&self) -> Record {
        let mut all = Record::default();
        self.records.iter().for_each(|record| all.merge(&record.lock()));
        all
    }

    /// How many requests there are so far.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for record in &self.records {
            let record = record.lock();
            counts.answered += record.answered();
            counts.failed += record.failed();
            counts.warm_up += record.warm_up;
        }
        counts
    }

    /// Waits until all threads have ended.
    pub(crate) async fn ended(&mut self) {
        while self.alive.recv().await.is_some() {}
    }
}

impl Begin {
    /// The life of a thread.
    fn run(self, connected: oneshot::Sender<io::Result<()>>) {
        let runtime = match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(why) => return drop(connected.send(Err(why))),
        };
        runtime.block_on(async {
            let part = self.part();
            let exchanges = match open(&self.plan, part).await {
                Ok(exchanges) => exchanges,
                Err(why) => return drop(connected.send(Err(why))),
            };
            // The other side is gone if another thread failed to connect.
            if connected.send(Ok(())).is_err() {
                return;
            }
            self.control.entered(Phase::WarmUp).await;
            let pace = self.pace();
            let mut workers = start(exchanges, |number| Worker {
                calls: Calls::new(&self.plan, part.first_worker + number),
                control: Arc::clone(&self.control),
                record: Arc::clone(&self.record),
                pace: pace.clone(),
            });
            let finished = async { while workers.join_next().await.is_some() {} };
            tokio::select! {
                () = finished => {}
                () = self.control.entered(Phase::Abandoned) => {}
                () = self.keep_pace(pace.as_deref()) => {}
            }
            if let (Some(pace), Some((from, to))) = (&pace, self.control.span())
                && let Some((count, first)) = pace.left(from, to)
            {
                self.record.lock().not_sent(count, to.saturating_duration_since(first));
            }
        });
    }

    fn part(&self) -> Part {
        let (first_worker, workers) = share(self.load.workers(), self.number, self.of);
        let connections = self.plan.connections(self.load, self.of);
        let (_, connections) = share(connections, self.number, self.of);
        // The times of an open loop come from a timer of the thread's runtime.
        let may_block = matches!(self.load, Load::Closed { .. });
        Part { first_worker, workers, connections: connections.max(1), may_block }
    }

    /// The times of this thread's requests, between those of the others.
    fn pace(&self) -> Option<Arc<Pace>> {
        let Load::Open { rate, is_poisson, .. } = self.load else { return None };
        let apart = Duration::from_secs_f64(1.0 / rate);
        let random = is_poisson.then(|| Rng::with_seed(SEED + u64::from(self.number)));
        let schedule = Schedule::new(Instant::now() + apart * self.number, apart * self.of, random);
        Some(Arc::new(Pace::new(schedule)))
    }

    /// Wakes workers when it is their time, and all of them at the end. Does not return.
    async fn keep_pace(&self, pace: Option<&Pace>) {
        if let Some(pace) = pace {
            tokio::select! {
                failed = pace.run() => {
                    if let Err(why) = failed {
                        self.control.give_up(&format!("there is no timer: {why}"));
                    }
                }
                () = self.control.entered(Phase::Draining) => {}
            }
            pace.end();
        }
        std::future::pending::<()>().await;
    }
}
