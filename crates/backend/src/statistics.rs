//! What a model version has done so far: the numbers behind the statistics extension and the `nv_inference_*` metrics.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use hippocamp_metrics::{BoundedHistogram, Histogram};
use parking_lot::Mutex;

use crate::latencies::{Latencies, LatencySummary, WantedLatencies};
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

/// When a decoupled model went through one of its responses.
#[derive(Clone, Copy, Debug)]
pub struct ResponseTimes {
    /// The model began to compute it.
    pub started: Instant,
    /// It is computed, and its outputs are being written. `None` for one without outputs.
    pub output_begun: Option<Instant>,
    pub finished: Instant,
}

/// What became of one response of a decoupled model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseOutcome {
    Success,
    Fail,
    /// It was computed, and there is nothing to send.
    Empty,
    /// The request was cancelled before it.
    Cancel,
}

/// What became of the responses at one place: of the first of every request, of the second, and so on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseCounters {
    pub compute_infer: Counted,
    pub compute_output: Counted,
    pub success: Counted,
    pub fail: Counted,
    pub empty_response: Counted,
    /// Its time is what letting go of a cancelled request took.
    pub cancel: Counted,
}

impl ResponseCounters {
    fn add(&mut self, outcome: ResponseOutcome, times: &ResponseTimes) {
        let ResponseTimes { started, output_begun, finished } = *times;
        let total = finished.saturating_duration_since(started);
        let counted = match outcome {
            ResponseOutcome::Success => &mut self.success,
            ResponseOutcome::Fail => &mut self.fail,
            ResponseOutcome::Empty => &mut self.empty_response,
            ResponseOutcome::Cancel => &mut self.cancel,
        };
        counted.add(total);
        if outcome == ResponseOutcome::Cancel {
            return;
        }
        self.compute_infer.add(output_begun.unwrap_or(finished).saturating_duration_since(started));
        if let Some(begun) = output_begun {
            self.compute_output.add(finished.saturating_duration_since(begun));
        }
    }
}

/// At how many places responses are counted on their own. A request that has more is no reason to remember more.
const MAX_RESPONSE_PLACES: usize = 10_000;

/// A copy of all counters at one moment.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Milliseconds since 1970 at the last execution; 0 before the first.
    pub last_inference_ms: u64,
    /// Batch entries executed: a batch of 8 counts 8.
    pub inference_count: u64,
    pub execution_count: u64,
    /// From a request's arrival to its (last) response. Counts requests, as do `fail`, `queue` and `phases`. Those that
    /// the response cache answers are in `success` and `queue`, but in none of `phases`.
    pub success: Counted,
    pub fail: Counted,
    pub queue: Counted,
    pub phases: Phases,
    /// Requests that the response cache answered, and how long it took.
    pub cache_hit: Counted,
    /// Requests that it could not answer, and how long it took to look and to keep the response.
    pub cache_miss: Counted,
    /// By batch size. Counts executions.
    pub batches: BTreeMap<u64, Phases>,
    /// Of a decoupled model, by the response's place in its request.
    pub responses: Vec<ResponseCounters>,
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
pub struct ModelStatistics(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    counters: Counters,
    /// What nobody wants unless the server was told so.
    latencies: Latencies,
}

impl ModelStatistics {
    /// Also keeps what is `wanted` besides the counters.
    pub fn with_latencies(wanted: &WantedLatencies) -> ModelStatistics {
        let statistics = ModelStatistics::default();
        statistics.want_latencies(wanted);
        statistics
    }

    /// From now on keeps what is `wanted` besides the counters. What is kept already goes on, if it is kept the same way.
    pub fn want_latencies(&self, wanted: &WantedLatencies) {
        self.0.lock().latencies.want(wanted);
    }

    pub fn snapshot(&self) -> Counters {
        self.0.lock().counters.clone()
    }

    /// The summaries of latencies with these quantiles; empty if none are kept.
    pub fn latency_summaries(&self, quantiles: &[f64]) -> Vec<LatencySummary> {
        self.0.lock().latencies.summaries(quantiles, Instant::now())
    }

    /// From arrival to the first response, in whole milliseconds; `None` if it is not kept.
    pub fn first_responses(&self) -> Option<BoundedHistogram> {
        self.0.lock().latencies.first_responses()
    }

    /// Counts one execution of a batch. `batch_size` is what the backend reports, usually the sum of the requests'.
    pub fn executed(&self, batch_size: u64, times: &ExecutionTimes) {
        self.executed_rows(batch_size, batch_size, times);
    }

    /// Counts one execution of a batch of which only `inferences` rows belong to requests; the rest keeps places.
    pub fn executed_rows(&self, batch_size: u64, inferences: u64, times: &ExecutionTimes) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let counters = &mut self.0.lock().counters;
        counters.last_inference_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        counters.inference_count += inferences;
        counters.execution_count += 1;
        counters.batches.entry(batch_size).or_default().add(times);
    }

    /// Counts a request that was answered. `arrived` is when it came in, `queued` when it began to wait.
    pub(crate) fn succeeded(&self, arrived: Instant, queued: Instant, times: &ExecutionTimes) {
        let now = Instant::now();
        let total = now.saturating_duration_since(arrived);
        let waited = times.started.saturating_duration_since(queued);
        let State { counters, latencies } = &mut *self.0.lock();
        let total_ns = counters.success.add(total);
        let waited_ns = counters.queue.add(waited);
        let before = counters.phases.compute_infer.ns;
        counters.phases.add(times);
        counters.request_durations.observe_ns(total_ns);
        counters.queue_durations.observe_ns(waited_ns);
        counters.compute_infer_durations.observe_ns(counters.phases.compute_infer.ns - before);
        latencies.executed(total, waited, times.phases(), now);
    }

    /// Counts one response of a decoupled model. `index` is its place in its request, which arrived at `arrived`.
    pub(crate) fn responded(
        &self,
        arrived: Instant,
        index: usize,
        outcome: ResponseOutcome,
        times: &ResponseTimes,
    ) {
        if index >= MAX_RESPONSE_PLACES {
            return;
        }
        let State { counters, latencies } = &mut *self.0.lock();
        if index == 0 && matches!(outcome, ResponseOutcome::Success | ResponseOutcome::Fail) {
            latencies.first_response(arrived);
        }
        if counters.responses.len() <= index {
            counters.responses.resize(index + 1, ResponseCounters::default());
        }
        counters.responses[index].add(outcome, times);
    }

    /// Counts a request that the response cache answered without an execution. `looked` is when the look-up began.
    pub(crate) fn cache_hit(&self, arrived: Instant, queued: Instant, looked: Instant) {
        let now = Instant::now();
        let (waited, took) =
            (looked.saturating_duration_since(queued), now.saturating_duration_since(looked));
        let State { counters, latencies } = &mut *self.0.lock();
        let total_ns = counters.success.add(now.saturating_duration_since(arrived));
        let waited_ns = counters.queue.add(waited);
        counters.cache_hit.add(took);
        latencies.cache_hit(waited, took, now);
        counters.request_durations.observe_ns(total_ns);
        counters.queue_durations.observe_ns(waited_ns);
    }

    /// Counts that the response cache did not have a request's answer, which has it now or cannot hold it. Keeping it
    /// took `kept` of the request's time, which was counted before.
    pub fn cache_miss(&self, looked: Duration, kept: Duration) {
        let State { counters, latencies } = &mut *self.0.lock();
        let took = looked.saturating_add(kept);
        counters.cache_miss.add(took);
        latencies.cache_miss(took);
        let kept_ns = u64::try_from(kept.as_nanos()).unwrap_or(u64::MAX);
        counters.success.ns = counters.success.ns.saturating_add(kept_ns);
    }

    /// Counts a request that failed after it was accepted.
    pub(crate) fn failed(&self, arrived: Instant, reason: FailureReason) {
        let total = Instant::now().saturating_duration_since(arrived);
        let counters = &mut self.0.lock().counters;
        counters.fail.add(total);
        counters.failures[reason as usize] += 1;
    }
}
