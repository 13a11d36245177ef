//! The result of a measurement.

use std::time::Duration;

use crate::plan::{Load, Transport};
use crate::record::Record;

/// A level of the load, and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) transport: Transport,
    pub(crate) load: Load,
    pub(crate) connections: u32,
    pub(crate) threads: u32,
    /// How long requests were measured.
    pub(crate) elapsed: Duration,
    pub(crate) record: Record,
    /// Requests that were not measured, those of other numbers of threads included.
    pub(crate) warm_up: u64,
    /// Answered requests a second in parts of the measurement.
    pub(crate) rates: Vec<f64>,
    /// The processor time of this process meanwhile.
    pub(crate) cpu: Duration,
    /// Whether it was ended early.
    pub(crate) is_interrupted: bool,
    /// Why no more requests could be sent, if so.
    pub(crate) gave_up: Option<String>,
}

/// The share of its threads' time above which the generator is what limits the load.
const BUSY: f64 = 0.9;

impl Point {
    /// Its name among others.
    pub(crate) fn name(&self) -> String {
        format!("{}, {}", self.transport.title(), self.load.title())
    }

    /// Adds a further round of the same load.
    pub(crate) fn add(&mut self, other: Point) {
        self.threads = self.threads.max(other.threads);
        self.connections = self.connections.max(other.connections);
        self.elapsed += other.elapsed;
        self.record.merge(&other.record);
        self.warm_up += other.warm_up;
        self.rates.extend(other.rates);
        self.cpu += other.cpu;
        self.is_interrupted |= other.is_interrupted;
        self.gave_up = self.gave_up.take().or(other.gave_up);
    }

    /// Answered requests a second.
    pub(crate) fn rate(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.record.answered() as f64 / seconds } else { 0.0 }
    }

    /// Processor seconds of this process for 1,000 requests; `None` without requests.
    pub(crate) fn cpu_per_1000(&self) -> Option<f64> {
        let requests = self.record.answered() + self.record.failed();
        (requests > 0).then(|| self.cpu.as_secs_f64() / requests as f64 * 1000.0)
    }

    /// The share of its threads' time that this process used.
    pub(crate) fn busy(&self) -> f64 {
        let time = self.elapsed.as_secs_f64() * f64::from(self.threads);
        if time > 0.0 { self.cpu.as_secs_f64() / time } else { 0.0 }
    }

    /// Whether this process may be what limits the load.
    pub(crate) fn is_limit(&self) -> bool {
        // In process, the model's time is part of it.
        self.busy() > BUSY && !matches!(self.transport, Transport::Local(_))
    }
}
