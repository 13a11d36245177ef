//! A histogram of durations.

/// Upper bounds in microseconds. They range from far below the 1 ms of a small model to longer than any client waits.
/// Neighbours differ by a factor of 2.5 at most, which limits the error of percentiles computed from them.
pub const DURATION_BOUNDS_US: [u64; 19] = [
    25, 50, 100, 250, 500, 750, 1_000, 1_500, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000,
    500_000, 1_000_000, 2_500_000, 10_000_000,
];

/// Counts of durations by [`DURATION_BOUNDS_US`], and their sum. Not synchronised: its owner locks it.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// The count of each bucket alone (not cumulative); the last bucket has no upper bound.
    counts: [u64; DURATION_BOUNDS_US.len() + 1],
    sum_ns: u64,
}

impl Histogram {
    pub fn observe_ns(&mut self, ns: u64) {
        let bucket = DURATION_BOUNDS_US.partition_point(|&bound| bound * 1_000 < ns);
        self.counts[bucket] += 1;
        self.sum_ns += ns;
    }

    /// Adds all that `other` has counted.
    pub fn add(&mut self, other: &Histogram) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum_ns += other.sum_ns;
    }

    /// For each bound, the number of durations up to it. The last entry has no bound and counts all durations.
    pub fn cumulative(&self) -> impl Iterator<Item = (Option<u64>, u64)> + '_ {
        let bounds = DURATION_BOUNDS_US.iter().copied().map(Some).chain([None]);
        bounds.zip(self.counts.iter().scan(0, |total, n| {
            *total += n;
            Some(*total)
        }))
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub fn sum_us(&self) -> u64 {
        self.sum_ns / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_inclusive() {
        let mut h = Histogram::default();
        for ns in [0, 25_000, 25_001, 1_000_000, 60_000_000_000] {
            h.observe_ns(ns);
        }
        let at = |bound| h.cumulative().find(|(b, _)| *b == bound).map(|(_, n)| n);
        assert_eq!(at(Some(25)), Some(2));
        assert_eq!(at(Some(50)), Some(3));
        assert_eq!(at(Some(1_000)), Some(4));
        assert_eq!(at(None), Some(5));
        assert_eq!(h.count(), 5);
        assert_eq!(h.sum_us(), 60_001_050);
        let mut twice = h.clone();
        twice.add(&h);
        assert_eq!((twice.count(), twice.sum_us()), (10, 120_002_100));
    }
}
