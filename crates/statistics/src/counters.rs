//! The counters of a model version.

use std::collections::BTreeMap;
use std::time::Duration;

use hippocamp_events::{FailureReason, ResponseOutcome, ResponseTimes};
use hippocamp_metrics::Histogram;

/// A count of events and their total duration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// The number of events.
    pub count: u64,
    /// The total duration in nanoseconds.
    pub ns: u64,
}

impl Counted {
    pub(crate) fn add(&mut self, time: Duration) -> u64 {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.count += 1;
        self.ns = self.ns.saturating_add(ns);
        ns
    }

    fn add_all(&mut self, other: Counted) {
        self.count += other.count;
        self.ns = self.ns.saturating_add(other.ns);
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
    /// Adds the durations of an execution's phases.
    pub(crate) fn add(&mut self, [input, infer, output]: [Duration; 3]) {
        self.compute_input.add(input);
        self.compute_infer.add(infer);
        self.compute_output.add(output);
    }

    fn add_all(&mut self, other: &Phases) {
        self.compute_input.add_all(other.compute_input);
        self.compute_infer.add_all(other.compute_infer);
        self.compute_output.add_all(other.compute_output);
    }
}

/// The outcomes of responses with the same index: of the first response of every request, of the second, and so on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseCounters {
    pub compute_infer: Counted,
    pub compute_output: Counted,
    pub success: Counted,
    pub fail: Counted,
    pub empty_response: Counted,
    /// Cancelled responses; the duration is the time that stopping the request took.
    pub cancel: Counted,
}

impl ResponseCounters {
    pub(crate) fn add(&mut self, outcome: ResponseOutcome, times: &ResponseTimes) {
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

    fn add_all(&mut self, other: &ResponseCounters) {
        self.compute_infer.add_all(other.compute_infer);
        self.compute_output.add_all(other.compute_output);
        self.success.add_all(other.success);
        self.fail.add_all(other.fail);
        self.empty_response.add_all(other.empty_response);
        self.cancel.add_all(other.cancel);
    }
}

/// The requests with the same batch size.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestCounters {
    pub success: Counted,
    pub fail: Counted,
    pub queue: Counted,
    /// Without requests that the response cache answers.
    pub phases: Phases,
}

impl RequestCounters {
    fn add_all(&mut self, other: &RequestCounters) {
        self.success.add_all(other.success);
        self.fail.add_all(other.fail);
        self.queue.add_all(other.queue);
        self.phases.add_all(&other.phases);
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
    /// From a request's arrival to its last response. Counts requests, as do `fail`, `queue` and `phases`. Requests
    /// that the response cache answers count in `success` and `queue`, but not in `phases`.
    pub success: Counted,
    pub fail: Counted,
    pub queue: Counted,
    pub phases: Phases,
    /// Requests that the response cache answered, and how long it took.
    pub cache_hit: Counted,
    /// Requests that the response cache could not answer, and how long looking up and storing the response took.
    pub cache_miss: Counted,
    /// Executions by batch size.
    pub batches: BTreeMap<u64, Phases>,
    /// Requests by their batch size, however they were batched.
    pub requests: BTreeMap<u32, RequestCounters>,
    /// The responses of a decoupled model, by their index in the request.
    pub responses: Vec<ResponseCounters>,
    /// Failed requests by [`FailureReason`], in the order of [`FailureReason::ALL`].
    pub failures: [u64; FailureReason::ALL.len()],
    pub request_durations: Histogram,
    pub queue_durations: Histogram,
    pub compute_infer_durations: Histogram,
}

impl Counters {
    /// Adds what `other` has counted of the same model version. `last_inference_ms` is left as it is.
    pub(crate) fn add_all(&mut self, other: &Counters) {
        self.inference_count += other.inference_count;
        self.execution_count += other.execution_count;
        self.success.add_all(other.success);
        self.fail.add_all(other.fail);
        self.queue.add_all(other.queue);
        self.phases.add_all(&other.phases);
        self.cache_hit.add_all(other.cache_hit);
        self.cache_miss.add_all(other.cache_miss);
        for (size, phases) in &other.batches {
            self.batches.entry(*size).or_default().add_all(phases);
        }
        for (size, requests) in &other.requests {
            self.requests.entry(*size).or_default().add_all(requests);
        }
        if self.responses.len() < other.responses.len() {
            self.responses.resize(other.responses.len(), ResponseCounters::default());
        }
        for (responses, more) in self.responses.iter_mut().zip(&other.responses) {
            responses.add_all(more);
        }
        for (failures, more) in self.failures.iter_mut().zip(other.failures) {
            *failures += more;
        }
        self.request_durations.add(&other.request_durations);
        self.queue_durations.add(&other.queue_durations);
        self.compute_infer_durations.add(&other.compute_infer_durations);
    }
}
