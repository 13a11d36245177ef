//! The time that the steps of a request took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hippocamp_backend::ExecutionTimes;

/// The three phases of an execution, summed over all steps of a request, as Triton counts them for an ensemble.
#[derive(Debug, Default)]
pub(crate) struct PhaseSums([AtomicU64; 3]);

impl PhaseSums {
    pub(crate) fn add(&self, times: &ExecutionTimes) {
        let ExecutionTimes { started, inputs_ready, outputs_begun, finished } = *times;
        let phases = [(started, inputs_ready), (inputs_ready, outputs_begun), (outputs_begun, finished)];
        for (sum, (from, to)) in self.0.iter().zip(phases) {
            let ns = to.saturating_duration_since(from).as_nanos();
            sum.fetch_add(u64::try_from(ns).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// The sums in the form of one execution that began at `started`.
    pub(crate) fn since(&self, started: Instant) -> ExecutionTimes {
        let after = |from: Instant, sum: &AtomicU64| {
            from.checked_add(Duration::from_nanos(sum.load(Ordering::Relaxed))).unwrap_or(from)
        };
        let inputs_ready = after(started, &self.0[0]);
        let outputs_begun = after(inputs_ready, &self.0[1]);
        ExecutionTimes { started, inputs_ready, outputs_begun, finished: after(outputs_begun, &self.0[2]) }
    }
}
