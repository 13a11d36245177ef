//! The samples of the last quarter of an hour.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::gpus::Gpu;
use crate::host::Host;
use crate::percentiles::Percentiles;

/// The most samples.
pub(crate) const SAMPLES: usize = 300;
/// The most entries of models in all samples together, which bounds the memory to some megabytes: with more than 100 models that
/// are busy all the time, less than a quarter of an hour is kept.
const ENTRIES: usize = 30_000;

/// What happened between two looks at the counters.
#[derive(Debug)]
pub(crate) struct Sample {
    /// Milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// The time since the sample before, in seconds.
    pub(crate) seconds: f32,
    pub(crate) host: Host,
    pub(crate) gpus: Box<[Gpu]>,
    /// The models that did something, sorted by name.
    pub(crate) models: Box<[ModelSample]>,
}

/// What the serving versions of a model did together.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelSample {
    pub(crate) name: Arc<str>,
    pub(crate) succeeded: u32,
    /// By [`FailureReason`](hippocamp_backend::FailureReason).
    pub(crate) failed: [u32; 4],
    pub(crate) cached: u32,
    pub(crate) inferences: u32,
    pub(crate) executions: u32,
    /// Requests that waited at the moment of the sample.
    pub(crate) pending: u32,
    pub(crate) request: Percentiles,
    pub(crate) queue: Percentiles,
    pub(crate) compute: Percentiles,
    /// Microseconds of all requests together: waiting, and the three phases of execution.
    pub(crate) spent_us: [u64; 4],
    /// Executions by batch size.
    pub(crate) batches: Box<[(u32, u32)]>,
}

/// A ring of samples, each with a number.
#[derive(Debug, Default)]
pub(crate) struct History {
    samples: VecDeque<Sample>,
    /// The number of the next sample.
    next: u64,
    entries: usize,
}

impl History {
    pub(crate) fn push(&mut self, sample: Sample) {
        self.entries += sample.models.len();
        self.samples.push_back(sample);
        self.next += 1;
        while self.samples.len() > SAMPLES || (self.entries > ENTRIES && self.samples.len() > 1) {
            let oldest = self.samples.pop_front();
            self.entries -= oldest.map_or(0, |sample| sample.models.len());
        }
    }

    /// The number of the next sample.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The samples from a number on, oldest first.
    pub(crate) fn since(&self, number: u64) -> impl DoubleEndedIterator<Item = &Sample> {
        let first = self.next - self.samples.len() as u64;
        let skipped = usize::try_from(number.saturating_sub(first)).unwrap_or(usize::MAX);
        self.samples.range(skipped.min(self.samples.len())..)
    }
}

impl Sample {
    pub(crate) fn model(&self, name: &str) -> Option<&ModelSample> {
        let found = self.models.binary_search_by(|model| (*model.name).cmp(name)).ok()?;
        self.models.get(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_ms: u64, models: usize) -> Sample {
        let models =
            (0..models).map(|n| ModelSample { name: format!("{n:03}").into(), ..ModelSample::default() });
        Sample { at_ms, seconds: 3.0, host: Host::default(), gpus: Box::default(), models: models.collect() }
    }

    #[test]
    fn the_oldest_go_and_numbers_go_on() {
        let mut history = History::default();
        for at in 0..400 {
            history.push(sample(at, 1));
        }
        let times =
            |history: &History, since| history.since(since).map(|sample| sample.at_ms).collect::<Vec<_>>();
        assert_eq!((times(&history, 0).len(), times(&history, 0)[0]), (SAMPLES, 100));
        assert_eq!(times(&history, 398), [398, 399]);
        assert_eq!((times(&history, 400), times(&history, 9_999)), (vec![], vec![]));
        assert_eq!(history.next(), 400);
    }

    #[test]
    fn many_busy_models_are_kept_for_less_long() {
        let mut history = History::default();
        for at in 0..SAMPLES as u64 {
            history.push(sample(at, 1_000));
        }
        assert_eq!(history.since(0).count(), ENTRIES / 1_000);
        history.push(sample(0, 2 * ENTRIES));
        assert_eq!(history.since(0).count(), 1, "the newest is always there");
        assert!(history.since(0).next().unwrap().model("017").is_some());
    }
}
