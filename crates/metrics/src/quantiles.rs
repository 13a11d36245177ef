//! Quantiles of the durations of the last minute.

use std::time::{Duration, Instant};

/// The last minute is divided into slices; the oldest slice is dropped when a new one begins.
const SLICES: usize = 5;
const SLICE: Duration = Duration::from_secs(12);

/// The number of buckets between a value and its double: limits the error of a duration to 1.6 %.
const STEPS: u32 = 32;

/// Quantiles of durations in the last minute, and the number and sum of all durations ever. Only buckets in use take
/// memory: 8 bytes a bucket and slice, for at most 1,900 buckets. Not synchronised: its owner locks it.
#[derive(Clone, Debug, Default)]
pub struct Quantiles {
    slices: [Slice; SLICES],
    /// When the newest slice, `slices[0]`, began.
    began: Option<Instant>,
    count: u64,
    sum_ns: u64,
}

/// (bucket, count) pairs, sorted by bucket.
type Slice = Vec<(u16, u32)>;

impl Quantiles {
    pub fn observe(&mut self, duration: Duration, now: Instant) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.count += 1;
        self.sum_ns = self.sum_ns.saturating_add(ns);
        self.advance(now);
        count(&mut self.slices[0], bucket(ns), 1);
    }

    /// Adds all that `other` has recorded.
    pub fn add(&mut self, other: &Quantiles, now: Instant) {
        let mut other = other.clone();
        self.advance(now);
        other.advance(now);
        self.count += other.count;
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        for (slice, more) in self.slices.iter_mut().zip(&other.slices) {
            for &(bucket, n) in more {
                count(slice, bucket, n);
            }
        }
    }

    /// The given quantiles (0 to 1) of the last minute's durations in microseconds; NaN if there were none.
    pub fn at(&mut self, quantiles: &[f64], now: Instant) -> Vec<f64> {
        self.advance(now);
        let mut all = self.slices.concat();
        all.sort_unstable_by_key(|(bucket, _)| *bucket);
        let total: u64 = all.iter().map(|(_, count)| u64::from(*count)).sum();
        let at = |quantile: &f64| {
            let rank = ((quantile * total as f64).ceil() as u64).clamp(1, total.max(1));
            let mut before = 0;
            let found = all.iter().find(|(_, count)| {
                before += u64::from(*count);
                before >= rank
            });
            found.map_or(f64::NAN, |(bucket, _)| middle_ns(*bucket) / 1_000.0)
        };
        quantiles.iter().map(at).collect()
    }

    /// The number of all durations since the beginning.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The sum of all durations since the beginning, in microseconds.
    pub fn sum_us(&self) -> u64 {
        self.sum_ns / 1_000
    }

    /// Begins the slices that are due at `now`.
    fn advance(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        let passed = now.saturating_duration_since(began).as_nanos() / SLICE.as_nanos();
        if passed == 0 {
            return;
        }
        for _ in 0..passed.min(SLICES as u128) {
            self.slices.rotate_right(1);
            self.slices[0].clear();
        }
        self.began = Some(began + SLICE * u32::try_from(passed).unwrap_or(u32::MAX));
    }
}

/// Counts `n` durations of a bucket.
fn count(slice: &mut Slice, bucket: u16, n: u32) {
    match slice.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
        Ok(place) => slice[place].1 = slice[place].1.saturating_add(n),
        Err(place) => slice.insert(place, (bucket, n)),
    }
}

/// The bucket of a duration. Values below 32 have a bucket each, larger ones share buckets.
fn bucket(ns: u64) -> u16 {
    let octave = ns.max(1).ilog2().saturating_sub(STEPS.ilog2());
    (octave * STEPS + (ns >> octave) as u32) as u16
}

/// The value in the middle of a bucket.
fn middle_ns(bucket: u16) -> f64 {
    let bucket = u32::from(bucket);
    let octave = (bucket / STEPS).saturating_sub(1);
    let width = 2f64.powi(octave as i32);
    f64::from(bucket - octave * STEPS) * width + (width - 1.0) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_near_the_middle_of_its_bucket() {
        let mut last = 0;
        for ns in (0..5_000).chain((5_000..u64::MAX / 3).step_by(usize::MAX / 5000)).chain([u64::MAX]) {
            let bucket = bucket(ns);
            assert!(bucket >= last, "{ns}");
            last = bucket;
            let error = (middle_ns(bucket) - ns as f64).abs();
            assert!(error <= ns as f64 / 63.0, "{ns} {}", middle_ns(bucket));
        }
        assert!(last < 1_920, "{last}");
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_list() {
        let (mut quantiles, now) = (Quantiles::default(), Instant::now());
        assert!(quantiles.at(&[0.5], now)[0].is_nan());
        let mut list: Vec<u64> = (0..1000u64).map(|i| 20 + (i * 7919) % 10_007).collect();
        for us in &list {
            quantiles.observe(Duration::from_micros(*us), now);
        }
        list.sort_unstable();
        let wanted = [0.0, 0.5, 0.9, 0.99, 0.999, 1.0];
        for (quantile, got) in wanted.iter().zip(quantiles.at(&wanted, now)) {
            let want = list[((quantile * 1000.0_f64).ceil() as usize).max(1) - 1] as f64;
            assert!((got - want).abs() <= want * 0.016, "{quantile}: {got} {want}");
        }
        assert_eq!((quantiles.count(), quantiles.sum_us()), (1000, list.iter().sum()));
    }

    #[test]
    fn those_of_two_are_as_if_one_had_recorded_all() {
        let now = Instant::now();
        let (mut all, mut parts) = (Quantiles::default(), [Quantiles::default(), Quantiles::default()]);
        for i in 0..1000u64 {
            let (took, at) =
                (Duration::from_micros(20 + (i * 7919) % 10_007), now + SLICE * (i / 300) as u32);
            all.observe(took, at);
            parts[usize::from(i % 3 == 0)].observe(took, at);
        }
        let (now, wanted) = (now + SLICE * 4, [0.0, 0.5, 0.9, 0.999, 1.0]);
        let [mut sum, other] = parts;
        sum.add(&other, now);
        assert_eq!(sum.at(&wanted, now), all.at(&wanted, now));
        assert_eq!((sum.count(), sum.sum_us()), (1000, all.sum_us()));
    }

    #[test]
    fn what_is_older_than_a_minute_is_forgotten() {
        let (mut quantiles, begin) = (Quantiles::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        quantiles.observe(Duration::from_millis(1), at(0));
        quantiles.observe(Duration::from_millis(2), at(30));
        let mut highest = |seconds| quantiles.at(&[0.0], at(seconds))[0].round();
        assert!((highest(59) - 1_000.0).abs() < 16.0);
        assert!((highest(61) - 2_000.0).abs() < 32.0);
        assert!(highest(95).is_nan());
        assert!(highest(1_000_000).is_nan());
        assert_eq!(quantiles.count(), 2);
    }
}
