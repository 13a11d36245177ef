//! The statistics of one model version: an observer that counts.

use std::iter;
use std::time::{Duration, Instant};

use hippocamp_events::{
    EndedRequests, ExecutionTimes, FailureReason, GpuNumber, ModelEvent, ModelId, Observer, Outcome,
    RequestContext, RequestEvent, ResponseOutcome, ResponseTimes,
};
use hippocamp_metrics::BoundedHistogram;

use crate::latencies::{Latencies, LatencySummary, WantedLatencies};
use crate::shards::{Shard, Shards};
use crate::wall_clock::WallClock;
use crate::{Counters, ResponseCounters};

/// Responses are counted separately up to this index in their request, so that memory is bounded.
const MAX_RESPONSE_PLACES: usize = 10_000;

/// The counters of one model version. They are updated before a response leaves, so that a client which has its answer
/// also finds it counted. This takes one short lock for a batch with its requests, or for each of them, which threads of a
/// busy model do not share. Nothing is allocated after the first batch of each size.
#[derive(Debug, Default)]
pub struct ModelStatistics(Shards<State>);

/// What one shard has counted.
#[derive(Debug, Default)]
struct State {
    /// Of what was not executed on a GPU, without `last_inference_ms`.
    counters: Counters,
    /// Of what instances on GPUs have executed, by GPU.
    gpus: Vec<(i32, Counters)>,
    /// The optional latency metrics.
    latencies: Latencies,
    /// When the last execution ended, by both clocks.
    last_inference: Option<(Instant, Duration)>,
    clock: WallClock,
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
        for state in &mut self.0.lock_all() {
            state.latencies.want(wanted);
        }
    }

    /// A copy of the counters.
    pub fn snapshot(&self) -> Counters {
        let states = self.0.lock_all();
        let mut counters = Counters::default();
        for state in &states {
            state.all().for_each(|part| counters.add_all(part));
        }
        let last = states.iter().filter_map(|state| state.last_inference).max_by_key(|(at, _)| *at);
        counters.last_inference_ms =
            last.map_or(0, |(_, time)| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        counters
    }

    /// A copy of the counters in parts: of what was not executed on a GPU, such as requests that waited too long, and of each of
    /// the GPUs. `last_inference_ms` is left out.
    pub fn snapshot_by_gpu(&self, gpus: &[i32]) -> (Counters, Vec<Counters>) {
        let states = self.0.lock_all();
        let mut elsewhere = Counters::default();
        let mut on_gpus = vec![Counters::default(); gpus.len()];
        for state in &states {
            elsewhere.add_all(&state.counters);
            for (gpu, counters) in &state.gpus {
                let place = gpus.iter().position(|id| id == gpu);
                place.map_or(&mut elsewhere, |place| &mut on_gpus[place]).add_all(counters);
            }
        }
        (elsewhere, on_gpus)
    }

    /// How much has been counted: it grows with every execution and with every request that ends. Cheaper than a copy.
    pub fn events(&self) -> u64 {
        let states = self.0.lock_all();
        let counted = |counters: &Counters| {
            counters.success.count
                + counters.fail.count
                + counters.execution_count
                + counters.cache_miss.count
        };
        states.iter().flat_map(|state| state.all()).map(counted).sum()
    }

    /// The latency summaries with these quantiles; empty if none are recorded.
    pub fn latency_summaries(&self, quantiles: &[f64]) -> Vec<LatencySummary> {
        let now = Instant::now();
        self.latencies(now).summaries(quantiles, now)
    }

    /// The time from arrival to the first response, in whole milliseconds; `None` if it is not recorded.
    pub fn first_responses(&self) -> Option<BoundedHistogram> {
        self.latencies(Instant::now()).first_responses()
    }

    fn latencies(&self, now: Instant) -> Latencies {
        let states = self.0.lock_all();
        let mut all = states[0].latencies.empty();
        for state in &states {
            all.add(&state.latencies, now);
        }
        all
    }
}

impl Shard for State {
    fn empty(&self) -> State {
        State { latencies: self.latencies.empty(), ..State::default() }
    }
}

impl State {
    /// The counters of all places.
    fn all(&self) -> impl Iterator<Item = &Counters> {
        iter::once(&self.counters).chain(self.gpus.iter().map(|(_, counters)| counters))
    }

    /// The counters of what instances on that GPU have executed, or of all else, and the latencies.
    #[inline]
    fn at(&mut self, gpu: Option<i32>) -> (&mut Counters, &mut Latencies) {
        let State { counters, gpus, latencies, .. } = self;
        let Some(gpu) = gpu else { return (counters, latencies) };
        let place = gpus.iter().position(|(id, _)| *id == gpu).unwrap_or_else(|| {
            gpus.push((gpu, Counters::default()));
            gpus.len() - 1
        });
        (&mut gpus[place].1, latencies)
    }

    fn executed(&mut self, batch_size: u64, inferences: u64, times: &ExecutionTimes, gpu: Option<i32>) {
        if self.last_inference.is_none_or(|(last, _)| last <= times.finished) {
            self.last_inference = Some((times.finished, self.clock.since_1970(times.finished)));
        }
        let (counters, _) = self.at(gpu);
        counters.inference_count += inferences;
        counters.execution_count += 1;
        counters.batches.entry(batch_size).or_default().add(times.phases());
    }

    fn cache_missed(&mut self, looked: Duration, kept: Duration) {
        let State { counters, latencies, .. } = self;
        let took = looked.saturating_add(kept);
        counters.cache_miss.add(took);
        latencies.cache_miss(took);
        let kept_ns = u64::try_from(kept.as_nanos()).unwrap_or(u64::MAX);
        counters.success.ns = counters.success.ns.saturating_add(kept_ns);
    }

    fn succeeded(&mut self, context: &RequestContext, queued: Instant, times: &ExecutionTimes, at: Instant) {
        let total = at.saturating_duration_since(context.received);
        let waited = times.started.saturating_duration_since(queued);
        let (counters, latencies) = self.at(context.gpu.map(GpuNumber::id));
        let total_ns = counters.success.add(total);
        let waited_ns = counters.queue.add(waited);
        let before = counters.phases.compute_infer.ns;
        let phases = times.phases();
        counters.phases.add(phases);
        counters.request_durations.observe_ns(total_ns);
        counters.queue_durations.observe_ns(waited_ns);
        counters.compute_infer_durations.observe_ns(counters.phases.compute_infer.ns - before);
        let alike = counters.requests.entry(context.batch_size).or_default();
        alike.success.add(total);
        alike.queue.add(waited);
        alike.phases.add(phases);
        latencies.executed(total, waited, times, at);
    }

    fn answered_by_cache(&mut self, context: &RequestContext, queued: Instant, looked: Instant, at: Instant) {
        let (waited, took) = (looked.saturating_duration_since(queued), at.saturating_duration_since(looked));
        let State { counters, latencies, .. } = self;
        let total = at.saturating_duration_since(context.received);
        let total_ns = counters.success.add(total);
        let waited_ns = counters.queue.add(waited);
        let alike = counters.requests.entry(context.batch_size).or_default();
        alike.success.add(total);
        alike.queue.add(waited);
        counters.cache_hit.add(took);
        latencies.cache_hit(waited, took, at);
        counters.request_durations.observe_ns(total_ns);
        counters.queue_durations.observe_ns(waited_ns);
    }

    fn failed(&mut self, context: &RequestContext, reason: FailureReason, at: Instant) {
        let total = at.saturating_duration_since(context.received);
        let (counters, _) = self.at(context.gpu.map(GpuNumber::id));
        counters.fail.add(total);
        counters.requests.entry(context.batch_size).or_default().fail.add(total);
        counters.failures[reason as usize] += 1;
    }

    /// Counts one response of a decoupled model under its index.
    fn responded(
        &mut self,
        (received, gpu): (Instant, Option<i32>),
        index: usize,
        outcome: ResponseOutcome,
        times: &ResponseTimes,
    ) {
        if index >= MAX_RESPONSE_PLACES {
            return;
        }
        let (counters, latencies) = self.at(gpu);
        if index == 0 && matches!(outcome, ResponseOutcome::Success | ResponseOutcome::Fail) {
            latencies.first_response(received);
        }
        if counters.responses.len() <= index {
            counters.responses.resize(index + 1, ResponseCounters::default());
        }
        counters.responses[index].add(outcome, times);
    }

    fn model_event(&mut self, event: &ModelEvent<'_>) {
        match *event {
            ModelEvent::Executed { batch_size, inferences, times, gpu } => {
                self.executed(batch_size, inferences, times, gpu);
            }
            ModelEvent::CacheMissed { looked, kept } => self.cache_missed(looked, kept),
        }
    }

    fn request_event(&mut self, context: &RequestContext, event: &RequestEvent<'_>) {
        match *event {
            RequestEvent::Responded { index, outcome, times } => {
                self.responded((context.received, context.gpu.map(GpuNumber::id)), index, outcome, &times);
            }
            RequestEvent::Ended { outcome, at } => match outcome {
                Outcome::Success { queued, times } => self.succeeded(context, queued, times, at),
                Outcome::Cached { queued, looked } => self.answered_by_cache(context, queued, looked, at),
                Outcome::Failed { reason, .. } => self.failed(context, reason, at),
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
}

impl Observer for ModelStatistics {
    fn on_request(&self, _: &ModelId, context: &RequestContext, event: &RequestEvent<'_>) {
        self.0.lock().request_event(context, event);
    }

    fn on_model(&self, _: &ModelId, event: &ModelEvent<'_>) {
        self.0.lock().model_event(event);
    }

    fn on_batch(&self, _: &ModelId, executed: &ModelEvent<'_>, ended: &mut EndedRequests<'_, '_>) {
        let mut state = self.0.lock();
        state.model_event(executed);
        for (context, event) in ended {
            state.request_event(context, &event);
        }
    }
}
