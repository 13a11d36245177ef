//! The statistics of one model version: an observer that counts.

use std::time::{Duration, Instant, SystemTime};

use hippocamp_events::{
    ExecutionTimes, FailureReason, ModelEvent, ModelId, Observer, Outcome, RequestContext, RequestEvent,
    ResponseOutcome, ResponseTimes,
};
use hippocamp_metrics::BoundedHistogram;
use parking_lot::Mutex;

use crate::latencies::{Latencies, LatencySummary, WantedLatencies};
use crate::{Counters, ResponseCounters};

/// Responses are counted separately up to this index in their request, so that memory is bounded.
const MAX_RESPONSE_PLACES: usize = 10_000;

/// The counters of one model version. They are updated before a response leaves, so that a client which has its answer
/// also finds it counted. This takes one short lock for each execution and each request. Nothing is allocated after the
/// first batch of each size.
#[derive(Debug, Default)]
pub struct ModelStatistics(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    counters: Counters,
    /// The optional latency metrics.
    latencies: Latencies,
}

impl ModelStatistics {
    /// Statistics that also record the latencies that are `wanted`.
    pub fn with_latencies(wanted: &WantedLatencies) -> ModelStatistics {
        let statistics = ModelStatistics::default();
        statistics.want_latencies(wanted);
        statistics
    }

    /// Records the latencies that are `wanted` from now on. Recorded values are kept if their settings stay the same.
    pub fn want_latencies(&self, wanted: &WantedLatencies) {
        self.0.lock().latencies.want(wanted);
    }

    /// A copy of the counters.
    pub fn snapshot(&self) -> Counters {
        self.0.lock().counters.clone()
    }

    /// The latency summaries with these quantiles; empty if none are recorded.
    pub fn latency_summaries(&self, quantiles: &[f64]) -> Vec<LatencySummary> {
        self.0.lock().latencies.summaries(quantiles, Instant::now())
    }

    /// The time from arrival to the first response, in whole milliseconds; `None` if it is not recorded.
    pub fn first_responses(&self) -> Option<BoundedHistogram> {
        self.0.lock().latencies.first_responses()
    }

    fn executed(&self, batch_size: u64, inferences: u64, times: &ExecutionTimes) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let counters = &mut self.0.lock().counters;
        counters.last_inference_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        counters.inference_count += inferences;
        counters.execution_count += 1;
        counters.batches.entry(batch_size).or_default().add(times);
    }

    fn cache_missed(&self, looked: Duration, kept: Duration) {
        let State { counters, latencies } = &mut *self.0.lock();
        let took = looked.saturating_add(kept);
        counters.cache_miss.add(took);
        latencies.cache_miss(took);
        let kept_ns = u64::try_from(kept.as_nanos()).unwrap_or(u64::MAX);
        counters.success.ns = counters.success.ns.saturating_add(kept_ns);
    }

    fn succeeded(&self, received: Instant, queued: Instant, times: &ExecutionTimes, at: Instant) {
        let total = at.saturating_duration_since(received);
        let waited = times.started.saturating_duration_since(queued);
        let State { counters, latencies } = &mut *self.0.lock();
        let total_ns = counters.success.add(total);
        let waited_ns = counters.queue.add(waited);
        let before = counters.phases.compute_infer.ns;
        counters.phases.add(times);
        counters.request_durations.observe_ns(total_ns);
        counters.queue_durations.observe_ns(waited_ns);
        counters.compute_infer_durations.observe_ns(counters.phases.compute_infer.ns - before);
        latencies.executed(total, waited, times, at);
    }

    fn answered_by_cache(&self, received: Instant, queued: Instant, looked: Instant, at: Instant) {
        let (waited, took) = (looked.saturating_duration_since(queued), at.saturating_duration_since(looked));
        let State { counters, latencies } = &mut *self.0.lock();
        let total_ns = counters.success.add(at.saturating_duration_since(received));
        let waited_ns = counters.queue.add(waited);
        counters.cache_hit.add(took);
        latencies.cache_hit(waited, took, at);
        counters.request_durations.observe_ns(total_ns);
        counters.queue_durations.observe_ns(waited_ns);
    }

    fn failed(&self, received: Instant, reason: FailureReason, at: Instant) {
        let counters = &mut self.0.lock().counters;
        counters.fail.add(at.saturating_duration_since(received));
        counters.failures[reason as usize] += 1;
    }

    /// Counts one response of a decoupled model under its index.
    fn responded(&self, received: Instant, index: usize, outcome: ResponseOutcome, times: &ResponseTimes) {
        if index >= MAX_RESPONSE_PLACES {
            return;
        }
        let State { counters, latencies } = &mut *self.0.lock();
        if index == 0 && matches!(outcome, ResponseOutcome::Success | ResponseOutcome::Fail) {
            latencies.first_response(received);
        }
        if counters.responses.len() <= index {
            counters.responses.resize(index + 1, ResponseCounters::default());
        }
        counters.responses[index].add(outcome, times);
    }
}

impl Observer for ModelStatistics {
    fn on_request(&self, _: &ModelId, context: &RequestContext, event: &RequestEvent<'_>) {
        let received = context.received;
        match *event {
            RequestEvent::Responded { index, outcome, times } => {
                self.responded(received, index, outcome, &times);
            }
            RequestEvent::Ended { outcome, at } => match outcome {
                Outcome::Success { queued, times } => self.succeeded(received, queued, times, at),
                Outcome::Cached { queued, looked } => self.answered_by_cache(received, queued, looked, at),
                Outcome::Failed { reason, .. } => self.failed(received, reason, at),
                Outcome::Withdrawn => {}
            },
            // The end has the times of all that came before.
            RequestEvent::Received
            | RequestEvent::Queued { .. }
            | RequestEvent::Started { .. }
            | RequestEvent::InputsReady { .. }
            | RequestEvent::Computed { .. } => {}
        }
    }

    fn on_model(&self, _: &ModelId, event: &ModelEvent<'_>) {
        match *event {
            ModelEvent::Executed { batch_size, inferences, times } => {
                self.executed(batch_size, inferences, times);
            }
            ModelEvent::CacheMissed { looked, kept } => self.cache_missed(looked, kept),
        }
    }
}
