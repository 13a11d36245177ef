//! How many answers an instance sends together.

use std::time::Duration;

/// Executions that take as long are answered one by one: a wake-up is little of them.
const LONG: Duration = Duration::from_micros(500);

/// For how long an answer is kept at most, for all that is known.
const LONGEST: Duration = Duration::from_millis(1);

/// The most answers that are sent together.
const MOST: u64 = 8;

/// What the executions of an instance have taken lately, and how long its requests waited.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// On average, in nanoseconds; 0 before the first execution.
    took: u64,
    waited: u64,
}

impl Pace {
    /// Notes an execution, and how long its request had waited.
    pub(super) fn note(&mut self, took: Duration, waited: Duration) {
        /// How much a single one says.
        const PART: u64 = 8;
        let mean = |mean: u64, now: Duration| {
            // A long one is noticed at once, and no more than that: one that was preempted is forgotten soon.
            let now =
                u64::try_from(now.as_nanos()).unwrap_or(u64::MAX).min(mean.saturating_mul(4).max(1_000_000));
            mean - mean / PART + now / PART
        };
        if self.took == 0 {
            self.took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        }
        self.took = mean(self.took, took);
        self.waited = mean(self.waited, waited);
    }

    /// How many answers to send together: half of the requests that are executed or wait at a time, so that the other half keeps the
    /// instance busy while those are answered.
    pub(super) fn together(&self) -> usize {
        let long = LONG.as_nanos() as u64;
        if self.took == 0 || self.took >= long {
            return 1;
        }
        let there = 1 + (self.waited + self.took / 2) / self.took;
        let most = (LONGEST.as_nanos() as u64 / self.took).min(MOST);
        // At least 1.
        there.div_ceil(2).clamp(1, most.max(1)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(took: u64, waited: u64) -> usize {
        let mut pace = Pace::default();
        (0..100).for_each(|_| pace.note(Duration::from_micros(took), Duration::from_micros(waited)));
        pace.together()
    }

    #[test]
    fn half_of_what_waits_is_answered_together_as_long_as_that_takes_little_time() {
        assert_eq!(Pace::default().together(), 1);
        // One request at a time, two, four and sixteen.
        assert_eq!([0, 90, 250, 1_400].map(|waited| settled(100, waited)), [1, 1, 2, 8]);
        assert_eq!(settled(10, 10_000), 8);
        assert_eq!(settled(400, 6_000), 2, "a millisecond at most");
        assert_eq!(settled(600, 9_000), 1, "a wake-up is little of that");
    }

    #[test]
    fn a_model_that_begins_to_take_long_answers_one_by_one_at_once() {
        let mut pace = Pace::default();
        (0..100).for_each(|_| pace.note(Duration::from_micros(100), Duration::from_micros(1_500)));
        assert_eq!(pace.together(), 8);
        (0..4).for_each(|_| pace.note(Duration::from_secs(1), Duration::from_secs(16)));
        assert_eq!(pace.together(), 1);
        (0..40).for_each(|_| pace.note(Duration::from_micros(100), Duration::from_micros(1_500)));
        assert!(pace.together() > 2, "{pace:?}");
    }
}
