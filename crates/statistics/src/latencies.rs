//! Optional latency metrics: summaries with quantiles, and the time to the first response of a decoupled model.

use std::time::{Duration, Instant};

use hippocamp_events::ExecutionTimes;
use hippocamp_metrics::{BoundedHistogram, Quantiles};

/// The optional latency metrics that are recorded for a model version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WantedLatencies {
    /// Whether summaries are recorded.
    pub summaries: bool,
    /// Bucket bounds, in milliseconds, of the histogram of the time to the first response; `None` if it is not
    /// recorded.
    pub first_response_ms: Option<Vec<f64>>,
}

/// Which latency a summary is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    /// From arrival to the last response, without requests that the response cache answered.
    Request,
    Queue,
    ComputeInput,
    ComputeInfer,
    ComputeOutput,
    CacheHit,
    CacheMiss,
}

impl Latency {
    pub const ALL: [Latency; 7] = [
        Latency::Request,
        Latency::Queue,
        Latency::ComputeInput,
        Latency::ComputeInfer,
        Latency::ComputeOutput,
        Latency::CacheHit,
        Latency::CacheMiss,
    ];
}

/// One latency summary for a scrape.
#[derive(Clone, Debug)]
pub struct LatencySummary {
    pub latency: Latency,
    /// Quantiles of the last minute in microseconds, in the requested order; NaN without values in that minute.
    pub quantiles: Vec<f64>,
    /// The sum of all values in microseconds.
    pub sum_us: u64,
    pub count: u64,
}

/// The recorded latencies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies {
    /// One summary for each latency, in the order of [`Latency::ALL`].
    summaries: Option<Box<[Quantiles; Latency::ALL.len()]>>,
    first_responses: Option<BoundedHistogram>,
}

impl Latencies {
    pub(crate) fn want(&mut self, wanted: &WantedLatencies) {
        self.summaries = wanted.summaries.then(|| self.summaries.take().unwrap_or_default());
        let before = self.first_responses.take();
        self.first_responses = wanted.first_response_ms.as_ref().map(|bounds| {
            let new = BoundedHistogram::new(bounds.iter().copied());
            before.filter(|before| before.bounds() == new.bounds()).unwrap_or(new)
        });
    }

    fn observe(&mut self, latencies: &[(Latency, Duration)], now: Instant) {
        let Some(summaries) = &mut self.summaries else { return };
        for &(latency, duration) in latencies {
            summaries[latency as usize].observe(duration, now);
        }
    }

    pub(crate) fn executed(
        &mut self,
        total: Duration,
        waited: Duration,
        times: &ExecutionTimes,
        now: Instant,
    ) {
        if self.summaries.is_none() {
            return;
        }
        let [input, infer, output] = times.phases();
        let latencies = [
            (Latency::Request, total),
            (Latency::Queue, waited),
            (Latency::ComputeInput, input),
            (Latency::ComputeInfer, infer),
            (Latency::ComputeOutput, output),
        ];
        self.observe(&latencies, now);
    }

    pub(crate) fn cache_hit(&mut self, waited: Duration, took: Duration, now: Instant) {
        self.observe(&[(Latency::Queue, waited), (Latency::CacheHit, took)], now);
    }

    pub(crate) fn cache_miss(&mut self, took: Duration) {
        if self.summaries.is_some() {
            self.observe(&[(Latency::CacheMiss, took)], Instant::now());
        }
    }

    pub(crate) fn first_response(&mut self, arrived: Instant) {
        if let Some(histogram) = &mut self.first_responses {
            let ms = arrived.elapsed().as_millis();
            histogram.observe(u64::try_from(ms).unwrap_or(u64::MAX));
        }
    }

    /// Latencies of the same kinds as these, without any values.
    pub(crate) fn empty(&self) -> Latencies {
        Latencies {
            summaries: self.summaries.as_ref().map(|_| Box::default()),
            first_responses: self
                .first_responses
                .as_ref()
                .map(|histogram| BoundedHistogram::new(histogram.bounds().iter().copied())),
        }
    }

    /// Adds what `other` has recorded of the same kinds.
    pub(crate) fn add(&mut self, other: &Latencies, now: Instant) {
        if let (Some(summaries), Some(more)) = (&mut self.summaries, &other.summaries) {
            for (summary, more) in summaries.iter_mut().zip(more.iter()) {
                summary.add(more, now);
            }
        }
        if let (Some(histogram), Some(more)) = (&mut self.first_responses, &other.first_responses) {
            histogram.add(more);
        }
    }

    pub(crate) fn summaries(&mut self, quantiles: &[f64], now: Instant) -> Vec<LatencySummary> {
        let kept = self.summaries.iter_mut().flat_map(|summaries| summaries.iter_mut());
        let summary = |(latency, kept): (Latency, &mut Quantiles)| LatencySummary {
            latency,
            quantiles: kept.at(quantiles, now),
            sum_us: kept.sum_us(),
            count: kept.count(),
        };
        Latency::ALL.into_iter().zip(kept).map(summary).collect()
    }

    pub(crate) fn first_responses(&self) -> Option<BoundedHistogram> {
        self.first_responses.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// An execution whose phases took so long.
    fn phases(started: Instant, [input, infer, output]: [Duration; 3]) -> ExecutionTimes {
        let inputs_ready = started + input;
        let outputs_begun = inputs_ready + infer;
        ExecutionTimes { started, inputs_ready, outputs_begun, finished: outputs_begun + output }
    }

    #[test]
    fn nothing_is_kept_that_nobody_wants() {
        let (mut latencies, now) = (Latencies::default(), Instant::now());
        latencies.executed(MS, MS, &phases(now, [MS; 3]), now);
        latencies.first_response(now);
        assert!(latencies.summaries(&[0.5], now).is_empty());
        assert!(latencies.first_responses().is_none());
    }

    #[test]
    fn what_is_wanted_again_goes_on() {
        let now = Instant::now();
        let wanted =
            |bounds: &[f64]| WantedLatencies { summaries: true, first_response_ms: Some(bounds.to_vec()) };
        let mut latencies = Latencies::default();
        latencies.want(&wanted(&[1.0, 2.0]));
        latencies.executed(MS * 4, MS, &phases(now, [MS, MS * 2, MS]), now);
        latencies.cache_hit(MS, MS * 8, now);
        latencies.first_response(now);
        latencies.want(&wanted(&[1.0, 2.0]));
        let counts = |latencies: &mut Latencies| -> Vec<(u64, u64)> {
            latencies.summaries(&[], now).iter().map(|summary| (summary.count, summary.sum_us)).collect()
        };
        let kept = [(1, 4_000), (2, 2_000), (1, 1_000), (1, 2_000), (1, 1_000), (1, 8_000), (0, 0)];
        assert_eq!(counts(&mut latencies), kept);
        let first = |latencies: &Latencies| latencies.first_responses().unwrap().cumulative().last();
        assert_eq!(first(&latencies), Some((None, 1)));
        // Other bounds are another histogram.
        latencies.want(&wanted(&[3.0]));
        assert_eq!((counts(&mut latencies), first(&latencies)), (kept.to_vec(), Some((None, 0))));
    }
}
