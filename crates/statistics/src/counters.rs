//! The counters of a model version.

use std::collections::BTreeMap;
use std::time::Duration;

use hippocamp_events::{ExecutionTimes, FailureReason, ResponseOutcome, ResponseTimes};
use hippocamp_metrics::Histogram;

/// How often something happened, and how long it took in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// How often.
    pub count: u64,
    /// All of them together, in nanoseconds.
    pub ns: u64,
}

impl Counted {
    pub(crate) fn add(&mut self, time: Duration) -> u64 {
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
    pub(crate) fn add(&mut self, times: &ExecutionTimes) {
        let [input, infer, output] = times.phases();
        self.compute_input.add(input);
        self.compute_infer.add(infer);
        self.compute_output.add(output);
    }
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
}

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
