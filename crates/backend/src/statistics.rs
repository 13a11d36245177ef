//! What a model version has done so far: the numbers behind the statistics extension and the `nv_inference_*` metrics.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use hippocamp_metrics::Histogram;
use parking_lot::Mutex;

use crate::{FailureReason, Request};

/// When an execution passed from one phase to the next.
#[derive(Clone, Copy, Debug)]
pub struct ExecutionTimes {
    /// The instance took the batch.
    pub started: Instant,
    /// The inputs are assembled.
    pub inputs_ready: Instant,
    /// The model has run.
    pub outputs_begun: Instant,
    /// The responses are ready to be sent.
    pub finished: Instant,
}

impl ExecutionTimes {
    /// Times of an execution whose phases all happen now; a backend moves them on as it goes.
    pub fn now() -> ExecutionTimes {
        let now = Instant::now();
        ExecutionTimes { started: now, inputs_ready: now, outputs_begun: now, finished: now }
    }

    fn phases(&self) -> [Duration; 3] {
        [
            self.inputs_ready.saturating_duration_since(self.started),
            self.outputs_begun.saturating_duration_since(self.inputs_ready),
            self.finished.saturating_duration_since(self.outputs_begun),
        ]
    }
}

/// How often something happened, and how long it took in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub count: u64,
    pub ns: u64,
}

impl Counted {
    fn add(&mut self, time: Duration) -> u64 {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.count += 1;
        self.ns = self.ns.saturating_add(ns);
        ns
    }
}

/// The three phases of an execution.
#[derive(Clone, Copy, Debug, Default)]
pub struct Phases {
    pub compute_input: Counted,
    pub compute_infer: Counted,
    pub compute_output: Counted,
}

impl Phases {
    fn add(&mut self, times: &ExecutionTimes) {
        let [input, infer, output] = times.phases();
        self.compute_input.add(input);
        self.compute_infer.add(infer);
        self.compute_output.add(output);
    }
}

/// A copy of all counters at one moment.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Milliseconds since 1970 at the last execution; 0 before the first.
    pub last_inference_ms: u64,
    /// Batch entries executed: a batch of 8 counts 8.
    pub inference_count: u64,
    pub execution_count: u64,
    /// From a request's arrival to its (last) response. Counts requests, as do `fail`, `queue` and `phases`.
    pub success: Counted,
    pub fail: Counted,
    pub queue: Counted,
    pub phases: Phases,
    /// By batch size. Counts executions.
    pub batches: BTreeMap<u64, Phases>,
    /// Failed requests by [`FailureReason`], in the order of [`FailureReason::ALL`].
    pub failures: [u64; FailureReason::ALL.len()],
    pub request_durations: Histogram,
    pub queue_durations: Histogram,
    pub compute_infer_durations: Histogram,
}

/// Counts the execution of a batch by the sizes of its requests. Null requests have a share in the batch size, as in
/// Triton, but are no inferences.
pub fn count_execution(batch: &[Request], times: &ExecutionTimes) {
    let Some(first) = batch.first() else { return };
    let size = |requests: &mut dyn Iterator<Item = &Request>| requests.map(|r| r.batch_size as u64).sum();
    let all: u64 = size(&mut batch.iter());
    let inferences: u64 = size(&mut batch.iter().filter(|r| !r.is_null()));
    first.response.statistics().executed_rows(all, inferences, times);
}

/// The counters of one model version. They are updated before a response leaves, so that a client which has its answer
/// also finds it counted. One short lock an execution and one a request; nothing is allocated after the first batch of
/// each size.
#[derive(Debug, Default)]
pub struct ModelStatistics(Mutex<Counters>);

impl ModelStatistics {
    pub fn snapshot(&self) -> Counters {
        self.0.lock().clone()
    }

    /// Counts one execution of a batch. `batch_size` is what the backend reports, usually the sum of the requests'.
    pub fn executed(&self, batch_size: u64, times: &ExecutionTimes) {
        self.executed_rows(batch_size, batch_size, times);
    }

    /// Counts one execution of a batch of which only `inferences` rows belong to requests; the rest keeps places.
    pub fn executed_rows(&self, batch_size: u64, inferences: u64, times: &ExecutionTimes) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let counters = &mut *self.0.lock();
        counters.last_inference_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        counters.inference_count += inferences;
        counters.execution_count += 1;
        counters.batches.entry(batch_size).or_default().add(times);
    }

    /// Counts a request that was answered. `arrived` is when it came in, `queued` when it began to wait.
    pub(crate) fn succeeded(&self, arrived: Instant, queued: Instant, times: &ExecutionTimes) {
        let total = Instant::now().saturating_duration_since(arrived);
        let waited = times.started.saturating_duration_since(queued);
        let counters = &mut *self.0.lock();
        let total_ns = counters.success.add(total);
        let waited_ns = counters.queue.add(waited);
        let before = counters.phases.compute_infer.ns;
        counters.phases.add(times);
        counters.request_durations.observe_ns(total_ns);
        counters.queue_durations.observe_ns(waited_ns);
        counters.compute_infer_durations.observe_ns(counters.phases.compute_infer.ns - before);
    }

    /// Counts a request that failed after it was accepted.
    pub(crate) fn failed(&self, arrived: Instant, reason: FailureReason) {
        let total = Instant::now().saturating_duration_since(arrived);
        let counters = &mut *self.0.lock();
        counters.fail.add(total);
        counters.failures[reason as usize] += 1;
    }
}
