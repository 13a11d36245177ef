//! How many requests wait for an instance, as far as that makes a difference to where its stub runs best.
//!
//! With one request at a time both sides sleep between two executions. While others wait, the next one begins at once; and while many
//! do, the threads of connections are busy, too. What is decided for one of these says little of another, so each has a decision of its
//! own, which is in force again as soon as requests wait so.

use std::time::Duration;

use super::decision::{Decision, Step};

/// How much a single execution says of how many wait.
const PART: u64 = 16;

/// One request is so many of these.
const ONE: u64 = 256;

/// From how many on there are some, and many; and below how many no more.
const BOUNDS: [(u64, u64); 2] = [(ONE * 3 / 4, ONE * 3 / 8), (7 * ONE, 4 * ONE)];

/// What is decided for each, and which is in force.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    of: [Decision; BOUNDS.len() + 1],
    load: Load,
}

/// How many wait.
#[derive(Debug, Default)]
struct Load {
    /// How long an execution takes on average, in nanoseconds, and how many requests wait.
    took: u64,
    waiting: u64,
    /// How many of the bounds are passed.
    class: usize,
}

impl Load {
    /// Notes how long an execution took, and how long its request had waited. Whether there is another class.
    fn note(&mut self, took: u64, waited: Duration) -> bool {
        let mean = |mean: u64, now: u64| mean - mean / PART + now / PART;
        // A single one that takes long says nothing of the others.
        self.took = if self.took == 0 { took } else { mean(self.took, took.min(4 * self.took)) }.max(PART);
        let waited = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        self.waiting = mean(self.waiting, (waited.saturating_mul(ONE) / self.took).min(64 * ONE));
        let before = self.class;
        if BOUNDS.get(self.class).is_some_and(|(from, _)| self.waiting >= *from) {
            self.class += 1;
        } else if self.class > 0 && self.waiting < BOUNDS[self.class - 1].1 {
            self.class -= 1;
        }
        self.class != before
    }
}

impl Decisions {
    /// Notes how long an execution took, and how long its request had waited. The step may have been taken already.
    pub(super) fn note(&mut self, took: u64, waited: Duration) -> Step {
        let is_another = self.load.note(took, waited);
        let decision = self.in_force();
        if is_another { decision.resumes() } else { decision.note(took) }
    }

    pub(super) fn in_force(&mut self) -> &mut Decision {
        &mut self.of[self.load.class]
    }

    /// They were parted for a reason that counts for long.
    pub(super) fn parted_for_long(&mut self) {
        self.of.iter_mut().for_each(Decision::parted_for_long);
    }
}

#[cfg(test)]
mod tests {
    use super::super::decision::WINDOW;
    use super::*;

    /// Executes so often with so many requests waiting, and says after how many executions they shared a core first and for how many
    /// they did.
    fn executes(
        decisions: &mut Decisions,
        shares: &mut bool,
        count: u32,
        waiting: u32,
        times: [u64; 2],
    ) -> (u32, u32) {
        let (mut first, mut together) = (count, 0);
        for done in 0..count {
            let took = times[usize::from(*shares)];
            match decisions.note(took, Duration::from_nanos(took) * waiting) {
                Step::Nothing => {}
                Step::Share => *shares = true,
                Step::Part => *shares = false,
            }
            if *shares {
                first = first.min(done);
                together += 1;
            }
        }
        (first, together)
    }

    #[test]
    fn the_class_follows_what_waits_and_not_single_executions() {
        let class = |load: &mut Load, waiting: u32| {
            (0..100).for_each(|_| {
                load.note(100_000, Duration::from_micros(100) * waiting);
            });
            load.class
        };
        let mut load = Load::default();
        assert_eq!([0, 1, 3, 15, 6, 3, 0].map(|waiting| class(&mut load, waiting)), [0, 1, 1, 2, 2, 1, 0]);
        assert!(!load.note(100_000, Duration::from_millis(1)) && !load.note(50_000_000, Duration::ZERO));
        assert_eq!((0..100).filter(|_| load.note(100_000, Duration::from_micros(50))).count(), 0);
        assert_eq!(load.class, 0);
    }

    #[test]
    fn a_burst_is_decided_at_once_though_sharing_does_not_pay_for_one_request_at_a_time() {
        let (mut decisions, mut shares) = (Decisions::default(), false);
        let (alone, busy) = ([120_000, 125_000], [120_000, 80_000]);
        let (_, together) = executes(&mut decisions, &mut shares, 100_000, 0, alone);
        assert!(together < 5000, "{together}");
        let (first, together) = executes(&mut decisions, &mut shares, 4000, 15, busy);
        assert!(first < 4 * WINDOW && together > 3000, "{first} {together}");
        // From then on at once, in both directions.
        let (_, together) = executes(&mut decisions, &mut shares, 2000, 0, alone);
        assert!(together < 200, "{together}");
        let (first, _) = executes(&mut decisions, &mut shares, 100, 15, busy);
        assert!(first < 40, "{first}");
    }

    #[test]
    fn what_takes_another_time_than_before_is_tried_anew() {
        let (mut decisions, mut shares) = (Decisions::default(), false);
        executes(&mut decisions, &mut shares, 400_000, 3, [150_000, 160_000]);
        let (first, together) = executes(&mut decisions, &mut shares, 8000, 3, [90_000, 60_000]);
        assert!(first < 16 * WINDOW && together > 6000, "{first} {together}");
    }
}
