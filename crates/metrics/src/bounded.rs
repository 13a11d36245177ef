//! A histogram whose bounds the user chooses.

use std::sync::Arc;

/// Counts of whole numbers in buckets with ascending bounds, and their sum. Not synchronised: its owner locks it.
#[derive(Clone, Debug)]
pub struct BoundedHistogram {
    bounds: Arc<[f64]>,
    /// The count of each bucket alone (not cumulative); the last bucket has no upper bound.
    counts: Vec<u64>,
    sum: u64,
}

impl BoundedHistogram {
    /// Creates a histogram. The bounds are sorted; NaN and infinite ones are left out.
    pub fn new(bounds: impl IntoIterator<Item = f64>) -> BoundedHistogram {
        let mut bounds: Vec<f64> = bounds.into_iter().filter(|bound| bound.is_finite()).collect();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        BoundedHistogram { counts: vec![0; bounds.len() + 1], bounds: bounds.into(), sum: 0 }
    }

    pub fn observe(&mut self, value: u64) {
        self.counts[self.bounds.partition_point(|&bound| bound < value as f64)] += 1;
        self.sum += value;
    }

    /// Adds all that `other`, which has the same bounds, has counted.
    pub fn add(&mut self, other: &BoundedHistogram) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum += other.sum;
    }

    pub fn bounds(&self) -> &[f64] {
        &self.bounds
    }

    /// For each bound, the number of values up to it. The last entry has no bound and counts all values.
    pub fn cumulative(&self) -> impl Iterator<Item = (Option<f64>, u64)> + '_ {
        let bounds = self.bounds.iter().copied().map(Some).chain([None]);
        bounds.zip(self.counts.iter().scan(0, |total, n| {
            *total += n;
            Some(*total)
        }))
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
        let mut h = BoundedHistogram::new([10.0, 1.0, f64::NAN, 10.0]);
        assert_eq!(h.bounds(), [1.0, 10.0]);
        for value in [0, 1, 2, 10, 11] {
            h.observe(value);
        }
        assert_eq!(h.cumulative().collect::<Vec<_>>(), [(Some(1.0), 2), (Some(10.0), 4), (None, 5)]);
        assert_eq!(h.sum(), 24);
        let mut twice = h.clone();
        twice.add(&h);
        assert_eq!((twice.cumulative().last(), twice.sum()), (Some((None, 10)), 48));
    }
}
