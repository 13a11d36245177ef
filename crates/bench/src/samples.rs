//! How many requests were answered when: whether the throughput was steady.

use std::time::{Duration, Instant};

/// Into how many windows a measurement is divided.
const WINDOWS: usize = 5;

/// By how much the throughput of a window may differ from the mean of all.
const TOLERANCE: f64 = 0.1;

/// The numbers of answered requests at several times.
#[derive(Clone, Debug)]
pub(crate) struct Samples {
    begin: Instant,
    samples: Vec<(Duration, u64)>,
}

impl Samples {
    pub(crate) fn new(begin: Instant) -> Samples {
        Samples { begin, samples: vec![(Duration::ZERO, 0)] }
    }

    pub(crate) fn add(&mut self, now: Instant, answered: u64) {
        self.samples.push((now.saturating_duration_since(self.begin), answered));
    }

    /// Requests a second in windows of the same length; empty if there were too few samples.
    pub(crate) fn rates(&self) -> Vec<f64> {
        let Some((whole, _)) = self.samples.last().filter(|_| self.samples.len() > 2 * WINDOWS) else {
            return Vec::new();
        };
        let window = whole.as_secs_f64() / WINDOWS as f64;
        let edges: Vec<f64> = (0..=WINDOWS).map(|number| self.count_at(window * number as f64)).collect();
        edges.windows(2).map(|edge| (edge[1] - edge[0]) / window).collect()
    }

    /// Requests a second in so many parts of as many samples each; `None` if the samples cannot be divided so, or have fewer answers.
    pub(crate) fn parts(&self, count: usize, least: u64) -> Option<Vec<f64>> {
        let whole = self.samples.len() - 1;
        let each = whole / count;
        let answered = self.samples.last().map_or(0, |(_, answered)| *answered);
        if each == 0 || !whole.is_multiple_of(count) || answered < least {
            return None;
        }
        let edges: Vec<_> = self.samples.iter().step_by(each).collect();
        let rate = |edge: &[&(Duration, u64)]| {
            (edge[1].1 - edge[0].1) as f64 / edge[1].0.saturating_sub(edge[0].0).as_secs_f64().max(1e-9)
        };
        Some(edges.windows(2).map(rate).collect())
    }

    /// The number of answered requests after so many seconds, between two samples in proportion.
    fn count_at(&self, seconds: f64) -> f64 {
        let after = self.samples.partition_point(|(time, _)| time.as_secs_f64() < seconds);
        let Some((late, more)) =
            self.samples.get(after).map(|(time, count)| (time.as_secs_f64(), *count as f64))
        else {
            return self.samples.last().map_or(0.0, |(_, count)| *count as f64);
        };
        let Some((early, less)) =
            self.samples[..after].last().map(|(time, count)| (time.as_secs_f64(), *count as f64))
        else {
            return more;
        };
        less + (more - less) * (seconds - early) / (late - early)
    }
}

/// Whether the throughput was the same all the time; `None` if that cannot be told.
pub(crate) fn is_stable(rates: &[f64]) -> Option<bool> {
    let mean = rates.iter().sum::<f64>() / rates.len() as f64;
    (!rates.is_empty()).then(|| rates.iter().all(|rate| (rate - mean).abs() <= TOLERANCE * mean))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples every 100 ms, of `each` requests in each of these.
    fn rates(each: &[u64]) -> Vec<f64> {
        let begin = Instant::now();
        let mut samples = Samples::new(begin);
        let mut all = 0;
        for (number, count) in (1u32..).zip(each) {
            all += count;
            samples.add(begin + Duration::from_millis(100) * number, all);
        }
        samples.rates()
    }

    #[test]
    fn a_steady_throughput_is_stable() {
        let steady = rates(&[10; 50]);
        assert!(steady.iter().all(|rate| (rate - 100.0).abs() < 1e-6), "{steady:?}");
        assert_eq!(is_stable(&steady), Some(true));
    }

    #[test]
    fn a_stall_is_not_stable() {
        let mut each = [10; 50];
        each[20..28].fill(0);
        assert_eq!(is_stable(&rates(&each)), Some(false));
        assert_eq!(is_stable(&rates(&[10; 8])), None, "too short to be told");
        assert_eq!(is_stable(&[0.0; 5]), Some(true));
    }
}
