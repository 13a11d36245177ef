//! A histogram of sizes: batch sizes, queue depths.

/// The number of buckets: one for 0, one up to each power of two, and one for all larger sizes.
const BUCKETS: usize = 19;

/// Counts of sizes with bounds 0, 1, 2, 4 and so on to 65,536, and their sum. Not synchronised: its owner locks it.
#[derive(Clone, Debug, Default)]
pub struct SizeHistogram {
    /// The count of each bucket alone (not cumulative).
    counts: [u64; BUCKETS],
    sum: u64,
}

impl SizeHistogram {
    #[inline]
    pub fn observe(&mut self, size: u64) {
        self.observe_many(size, 1);
    }

    /// Adds `times` observations of the same size.
    #[inline]
    pub fn observe_many(&mut self, size: u64, times: u64) {
        // The bucket is 1 + the smallest n with size <= 2^n.
        let bucket = if size == 0 { 0 } else { 1 + (64 - (size - 1).leading_zeros()) as usize };
        self.counts[bucket.min(BUCKETS - 1)] += times;
        self.sum += size * times;
    }

    /// For each bound, the number of sizes up to it. The last entry has no bound and counts all sizes.
    pub fn cumulative(&self) -> impl Iterator<Item = (Option<u64>, u64)> + '_ {
        let bounds = (0..BUCKETS - 1).map(|bucket| Some(if bucket == 0 { 0 } else { 1 << (bucket - 1) }));
        bounds.chain([None]).zip(self.counts.iter().scan(0, |total, n| {
            *total += n;
            Some(*total)
        }))
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub fn sum(&self) -> u64 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_inclusive() {
        let mut h = SizeHistogram::default();
        for size in [0, 1, 2, 3, 4, 5, 65_536, 65_537, 1 << 40] {
            h.observe(size);
        }
        h.observe_many(64, 3);
        let at = |bound| h.cumulative().find(|(b, _)| *b == bound).map(|(_, n)| n);
        assert_eq!(
            [at(Some(0)), at(Some(1)), at(Some(2)), at(Some(4))],
            [Some(1), Some(2), Some(3), Some(5)]
        );
        assert_eq!([at(Some(8)), at(Some(32)), at(Some(64))], [Some(6), Some(6), Some(9)]);
        assert_eq!([at(Some(65_536)), at(None)], [Some(10), Some(12)]);
        assert_eq!(h.count(), 12);
        assert_eq!(h.sum(), 1 + 2 + 3 + 4 + 5 + 65_536 + 65_537 + (1 << 40) + 3 * 64);
    }
}
