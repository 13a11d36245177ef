//! When a stub shares a core with the thread that waits for it: it is tried now and then, and kept where executions take less time.
//!
//! Nothing is known beforehand of what is better: it depends on how much a model does, on the machine, and on what else runs there.
//! So executions are measured in windows, apart and together next to each other in time, and the shorter ones decide.

/// How many executions a window has.
pub(super) const WINDOW: u32 = 512;

/// How many after a change are not measured.
const SETTLING: u32 = 64;

/// The mean execution, in nanoseconds, above which nothing is tried: to wake one another is a small part of it.
const LONGEST: u64 = 500_000;

/// Sharing is kept if executions take at most so many hundredths of what they take apart.
const GAIN: u64 = 97;

/// How many windows it is apart before the next trial, and together before it is compared again: at first, and at most.
const PAUSE: (u32, u32) = (4, 1024);
const HOLD: (u32, u32) = (16, 256);

/// What the caller is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    /// Have them share a core. If that cannot be, [`Decision::parted`] is to be told.
    Share,
    /// Let them run anywhere.
    Part,
}

/// What was measured, and what follows from it.
#[derive(Debug)]
pub(super) struct Decision {
    phase: Phase,
    window: Window,
    pause: u32,
    hold: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Runs anywhere for so many windows more, the last of which is compared with.
    Apart { left: u32 },
    /// Shares a core, and is compared with this mean.
    Trial { apart: u64 },
    /// Shares a core for so many windows more.
    Together { left: u32 },
}

/// The executions since the last change or decision.
#[derive(Debug, Default)]
struct Window {
    count: u32,
    settling: u32,
    sum: u64,
}

impl Window {
    /// Adds an execution. The mean, once there are enough.
    fn add(&mut self, nanoseconds: u64) -> Option<u64> {
        if self.settling > 0 {
            self.settling -= 1;
            return None;
        }
        self.count += 1;
        self.sum = self.sum.saturating_add(nanoseconds);
        let is_full = self.count == WINDOW;
        is_full.then(|| std::mem::take(self).sum / u64::from(WINDOW))
    }
}

impl Default for Decision {
    fn default() -> Self {
        Decision { phase: Phase::Apart { left: 1 }, window: Window::default(), pause: PAUSE.0, hold: HOLD.0 }
    }
}

impl Decision {
    /// Notes how long an execution took.
    pub(super) fn note(&mut self, nanoseconds: u64) -> Step {
        let Some(mean) = self.window.add(nanoseconds) else { return Step::Nothing };
        match self.phase {
            Phase::Apart { left } if left > 1 => self.phase = Phase::Apart { left: left - 1 },
            Phase::Apart { .. } if mean > LONGEST => self.pauses(),
            Phase::Apart { .. } => return self.changes(Phase::Trial { apart: mean }, Step::Share),
            Phase::Trial { apart } if mean.saturating_mul(100) <= apart.saturating_mul(GAIN) => {
                self.phase = Phase::Together { left: self.hold };
                self.hold = (2 * self.hold).min(HOLD.1);
                self.pause = PAUSE.0;
            }
            Phase::Trial { .. } => {
                self.parted();
                return Step::Part;
            }
            Phase::Together { left } if left > 1 => self.phase = Phase::Together { left: left - 1 },
            Phase::Together { .. } => return self.changes(Phase::Apart { left: 1 }, Step::Part),
        }
        Step::Nothing
    }

    /// They were parted for another reason than what was measured, or could not share a core.
    pub(super) fn parted(&mut self) {
        self.hold = HOLD.0;
        self.pauses();
    }

    /// They were parted for a reason that counts for long.
    pub(super) fn parted_for_long(&mut self) {
        self.pause = PAUSE.1;
        self.parted();
    }

    /// They were parted because there was nothing to do.
    pub(super) fn rested(&mut self) {
        self.changes(Phase::Apart { left: 1 }, Step::Nothing);
    }

    fn pauses(&mut self) {
        self.changes(Phase::Apart { left: self.pause }, Step::Nothing);
        self.pause = (2 * self.pause).min(PAUSE.1);
    }

    fn changes(&mut self, phase: Phase, step: Step) -> Step {
        self.phase = phase;
        self.window = Window { settling: SETTLING, ..Window::default() };
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Executes so many windows' worth, which take so long apart and together, and says for how many executions a core was shared.
    fn shared(decision: &mut Decision, windows: u32, apart: u64, together: u64) -> u32 {
        let (mut shares, mut count) = (false, 0);
        for _ in 0..windows * WINDOW {
            count += u32::from(shares);
            match decision.note(if shares { together } else { apart }) {
                Step::Nothing => {}
                Step::Share => shares = true,
                Step::Part => shares = false,
            }
        }
        count / WINDOW
    }

    #[test]
    fn what_is_shorter_together_stays_together_and_is_compared_again_now_and_then() {
        let mut decision = Decision::default();
        let count = shared(&mut decision, 1000, 150_000, 120_000);
        assert!((960..1000).contains(&count), "{count}");
    }

    #[test]
    fn what_is_not_shorter_together_is_tried_ever_more_rarely() {
        for together in [120_000, 118_000, 200_000] {
            let mut decision = Decision::default();
            let count = shared(&mut decision, 1000, 120_000, together);
            assert!((1..20).contains(&count), "{count} of 1000 where {together} together");
            let count = shared(&mut decision, 5000, 120_000, together);
            assert!(count <= 10, "{count} of 5000 where {together} together");
        }
    }

    #[test]
    fn long_executions_are_left_alone() {
        assert_eq!(shared(&mut Decision::default(), 3000, 2_000_000, 1), 0);
    }

    #[test]
    fn what_gets_longer_together_is_parted_and_what_gets_shorter_is_found() {
        let mut decision = Decision::default();
        shared(&mut decision, 100, 150_000, 120_000);
        let later = shared(&mut decision, 1000, 150_000, 300_000);
        assert!(later < 150, "{later}");
        let again = shared(&mut decision, 5000, 150_000, 120_000);
        assert!(again > 3000, "{again}");
    }

    #[test]
    fn what_was_parted_for_a_reason_waits() {
        let mut decision = Decision::default();
        while decision.note(100_000) != Step::Share {}
        decision.parted();
        let mut wait = || {
            let mut count = 1;
            while decision.note(100_000) != Step::Share {
                count += 1;
            }
            decision.parted_for_long();
            count / WINDOW
        };
        assert_eq!(wait(), PAUSE.0);
        assert_eq!(wait(), PAUSE.1);
    }
}
