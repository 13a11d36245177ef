//! Percentiles of durations between two looks at a histogram.

use hippocamp_metrics::Histogram;

/// The 50th, 90th and 99th percentile in microseconds; zeros if there was nothing.
pub(crate) type Percentiles = [u32; 3];

const SHARES: [f64; 3] = [0.5, 0.9, 0.99];

/// What was counted since `before`, by interpolation within a bucket. Neighbouring bounds differ by a factor of 2.5 at most.
pub(crate) fn since(before: &Histogram, now: &Histogram) -> Percentiles {
    let counts = before.cumulative().zip(now.cumulative());
    let counts: Vec<(Option<u64>, u64)> =
        counts.map(|((_, before), (bound, now))| (bound, now.saturating_sub(before))).collect();
    let total = counts.last().map_or(0, |(_, count)| *count);
    if total == 0 {
        return [0; 3];
    }
    SHARES.map(|share| percentile(&counts, share * total as f64))
}

/// The duration that `wanted` durations do not exceed.
fn percentile(counts: &[(Option<u64>, u64)], wanted: f64) -> u32 {
    let (mut low, mut below) = (0u64, 0u64);
    for (bound, count) in counts {
        if *count as f64 >= wanted {
            // Nothing is known of durations beyond the last bound.
            let high = bound.unwrap_or(low);
            let share = (wanted - below as f64) / (count - below).max(1) as f64;
            return (low as f64 + (high - low) as f64 * share) as u32;
        }
        (low, below) = (bound.unwrap_or(low), *count);
    }
    u32::try_from(low).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_came_between() {
        let mut before = Histogram::default();
        (0..1000).for_each(|_| before.observe_ns(5_000_000_000));
        let mut now = before.clone();
        assert_eq!(since(&before, &now), [0; 3]);
        (0..90).for_each(|_| now.observe_ns(40_000));
        (0..10).for_each(|_| now.observe_ns(4_000_000));
        let [half, most, worst] = since(&before, &now);
        assert!((25..=50).contains(&half) && half < most && most <= 50, "{half} {most}");
        assert!((2_500..=5_000).contains(&worst), "{worst}");
        now.observe_ns(u64::from(u32::MAX) * 1_000);
        assert!(since(&before, &now)[2] <= 10_000_000);
    }
}
