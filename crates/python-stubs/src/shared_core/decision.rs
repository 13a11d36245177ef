//! When a stub shares a core with the thread that waits for it: it is tried now and then, and kept where executions take less time.
//!
//! Nothing is known beforehand of what is better: it depends on how much a model does, on the machine, and on what else runs there.
//! So executions are measured in pairs of windows, one apart and one together, next to each other in time. One pair proves nothing, as
//! a busy machine makes windows differ by more than what is looked for; so pairs vote, until one side is ahead by so many votes that
//! chance does not explain it. What is in force needs more votes against it than for it. The longest executions of a window do not
//! count: something else ran meanwhile.

/// How many executions a window has, and how many of them, the longest, do not count.
pub(super) const WINDOW: u32 = 64;
const LEFT_OUT: usize = 4;

/// How many after a change are not measured.
const SETTLING: u32 = 8;

/// How many executions after a rest say that they are still short.
const RESUMING: u32 = 8;

/// The mean execution, in nanoseconds, above which nothing is tried: to wake one another is a small part of it.
const LONGEST: u64 = 500_000;

/// A pair votes for sharing if executions take at most so many hundredths of what they take apart: to begin with it, and to go on.
const GAIN: (u64, u64) = (97, 98);

/// How far ahead the votes for sharing have to be, and those against it: to begin with it, and to go on. Where both are the same but for
/// chance, one trial in forty begins with it.
const BEGIN: (i8, i8) = (5, 2);
const GO_ON: (i8, i8) = (2, 4);

/// After so many pairs without a decision it stays as it is.
const MOST_PAIRS: u8 = 16;

/// How many windows it is apart before the next trial, and together before it is compared again: at first, and at most.
const PAUSE: (u32, u32) = (8, 2048);
const HOLD: (u32, u32) = (32, 512);

/// Executions that take so many times as long as when it was decided, or as short, in so many windows in a row, are decided anew.
const CHANGE: (u64, u64) = (3, 2);
const CHANGED: u32 = 8;

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
    /// The mean of the first window after it was decided, and how many in a row were another by [`CHANGE`].
    usual: Option<u64>,
    others: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Runs anywhere for so many windows more, the last of which says whether a trial is worth it.
    Apart { left: u32 },
    /// Is tried in both ways.
    Trial(Trial),
    /// Shares a core for so many windows more.
    Together { left: u32 },
    /// Runs anywhere for a few executions, as there was nothing to do, and shares a core again then.
    Resumes { left: u32 },
}

/// Pairs of windows, whose order alternates so that each needs one change only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Trial {
    /// Whether sharing is what is in force.
    is_kept: bool,
    /// Whether the present window shares a core.
    shares: bool,
    /// The mean of the first window of the pair.
    first: Option<u64>,
    /// By how many votes sharing is ahead.
    ahead: i8,
    pairs: u8,
}

impl Trial {
    fn new(is_kept: bool, first: Option<u64>) -> Trial {
        Trial { is_kept, shares: is_kept, first, ahead: 0, pairs: 0 }
    }

    /// Takes the mean of a window. Whether sharing is better, once that is known.
    fn note(&mut self, mean: u64) -> Option<bool> {
        let Some(first) = self.first.take() else {
            self.first = Some(mean);
            return None;
        };
        let (apart, together) = if self.shares { (first, mean) } else { (mean, first) };
        let most = if self.is_kept { GAIN.1 } else { GAIN.0 };
        let votes_for = together.saturating_mul(100) <= apart.saturating_mul(most);
        self.ahead += if votes_for { 1 } else { -1 };
        self.pairs += 1;
        let (to_share, to_part) = if self.is_kept { GO_ON } else { BEGIN };
        if self.ahead >= to_share {
            Some(true)
        } else if self.ahead <= -to_part {
            Some(false)
        } else {
            (self.pairs >= MOST_PAIRS).then_some(self.is_kept)
        }
    }
}

/// The executions since the last change or decision.
#[derive(Debug, Default)]
struct Window {
    count: u32,
    settling: u32,
    sum: u64,
    longest: [u64; LEFT_OUT],
}

impl Window {
    /// Adds an execution. The mean, once there are as many as wanted.
    fn add(&mut self, nanoseconds: u64, wanted: u32) -> Option<u64> {
        if self.settling > 0 {
            self.settling -= 1;
            return None;
        }
        self.count += 1;
        let mut counts = nanoseconds;
        for longest in &mut self.longest {
            if counts > *longest {
                std::mem::swap(longest, &mut counts);
            }
        }
        self.sum = self.sum.saturating_add(counts);
        let counted = u64::from(wanted) - LEFT_OUT as u64;
        (self.count == wanted).then(|| std::mem::take(self).sum / counted)
    }
}

impl Default for Decision {
    fn default() -> Self {
        let (phase, window) = (Phase::Apart { left: 1 }, Window::default());
        Decision { phase, window, pause: PAUSE.0, hold: HOLD.0, usual: None, others: 0 }
    }
}

impl Decision {
    /// Notes how long an execution took.
    pub(super) fn note(&mut self, nanoseconds: u64) -> Step {
        let wanted = if matches!(self.phase, Phase::Resumes { .. }) { RESUMING } else { WINDOW };
        let Some(mean) = self.window.add(nanoseconds, wanted) else { return Step::Nothing };
        let phase = self.phase;
        match phase {
            Phase::Trial(mut trial) => {
                return match trial.note(mean) {
                    None => self.goes_on(trial),
                    Some(is_better) => self.decides(trial, is_better),
                };
            }
            Phase::Apart { left } if left > 1 && !self.has_changed(mean) => {
                self.phase = Phase::Apart { left: left - 1 };
            }
            _ if mean > LONGEST => {
                let is_shared = matches!(phase, Phase::Together { .. });
                self.parted();
                return if is_shared { Step::Part } else { Step::Nothing };
            }
            Phase::Apart { .. } => return self.goes_on(Trial::new(false, Some(mean))),
            Phase::Resumes { left } => return self.changes(Phase::Together { left }, Step::Share),
            Phase::Together { left } if left > 1 && !self.has_changed(mean) => {
                self.phase = Phase::Together { left: left - 1 };
            }
            Phase::Together { .. } => return self.goes_on(Trial::new(true, Some(mean))),
        }
        Step::Nothing
    }

    /// Whether executions are not any more what they were when it was decided.
    fn has_changed(&mut self, mean: u64) -> bool {
        let usual = *self.usual.get_or_insert(mean);
        let (longer, shorter) = (mean.max(usual), mean.min(usual));
        let is_other = longer.saturating_mul(CHANGE.1) > shorter.saturating_mul(CHANGE.0);
        self.others = if is_other { self.others + 1 } else { 0 };
        self.others >= CHANGED
    }

    /// It is in force again, after other circumstances were.
    pub(super) fn resumes(&mut self) -> Step {
        let is_shared = match &mut self.phase {
            Phase::Together { .. } => true,
            Phase::Trial(trial) => {
                // What was measured before is not next to what is measured now.
                trial.first = None;
                trial.shares
            }
            Phase::Apart { .. } | Phase::Resumes { .. } => false,
        };
        self.changes(self.phase, if is_shared { Step::Share } else { Step::Part })
    }

    /// The next window of a trial: the other way within a pair, and the same way at the beginning of the next one.
    fn goes_on(&mut self, mut trial: Trial) -> Step {
        if trial.first.is_none() {
            self.phase = Phase::Trial(trial);
            return Step::Nothing;
        }
        trial.shares = !trial.shares;
        self.changes(Phase::Trial(trial), if trial.shares { Step::Share } else { Step::Part })
    }

    fn decides(&mut self, trial: Trial, shares: bool) -> Step {
        if shares {
            let phase = Phase::Together { left: self.hold };
            self.hold = if trial.is_kept { (2 * self.hold).min(HOLD.1) } else { HOLD.0 };
            self.pause = PAUSE.0;
            return self.changes(phase, if trial.shares { Step::Nothing } else { Step::Share });
        }
        self.parted();
        if trial.shares { Step::Part } else { Step::Nothing }
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
        let next = match self.phase {
            Phase::Together { left } | Phase::Resumes { left } => Phase::Resumes { left },
            Phase::Trial(Trial { is_kept: true, .. }) => Phase::Resumes { left: 1 },
            Phase::Apart { .. } | Phase::Trial(_) => Phase::Apart { left: 1 },
        };
        self.changes(next, Step::Nothing);
    }

    fn pauses(&mut self) {
        self.changes(Phase::Apart { left: self.pause }, Step::Nothing);
        self.pause = (2 * self.pause).min(PAUSE.1);
    }

    fn changes(&mut self, phase: Phase, step: Step) -> Step {
        self.phase = phase;
        self.window = Window { settling: SETTLING, ..Window::default() };
        (self.usual, self.others) = (None, 0);
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Executes so many windows' worth, each of which takes what `take` says of a window apart or together, and says for how many
    /// windows' worth a core was shared.
    fn shared_by(decision: &mut Decision, windows: u32, mut take: impl FnMut(bool) -> u64) -> u32 {
        let (mut shares, mut count) = (false, 0);
        for _ in 0..windows {
            let takes = [take(false), take(true)];
            for _ in 0..WINDOW {
                count += u32::from(shares);
                match decision.note(takes[usize::from(shares)]) {
                    Step::Nothing => {}
                    Step::Share => shares = true,
                    Step::Part => shares = false,
                }
            }
        }
        count / WINDOW
    }

    fn shared(decision: &mut Decision, windows: u32, apart: u64, together: u64) -> u32 {
        shared_by(decision, windows, |shares| if shares { together } else { apart })
    }

    /// A mean with so many hundredths of noise in both directions, always the same ones.
    fn noisy(seed: u64, hundredths: u64) -> impl FnMut(u64) -> u64 {
        let mut random = fastrand::Rng::with_seed(seed);
        move |mean| mean * (100 - hundredths + random.u64(0..=2 * hundredths)) / 100
    }

    #[test]
    fn what_is_shorter_together_stays_together_and_is_compared_again_now_and_then() {
        let mut decision = Decision::default();
        let count = shared(&mut decision, 2000, 150_000, 120_000);
        assert!((1900..2000).contains(&count), "{count}");
    }

    #[test]
    fn what_is_not_shorter_together_is_tried_ever_more_rarely() {
        for together in [120_000, 118_000, 200_000] {
            let mut decision = Decision::default();
            let count = shared(&mut decision, 2000, 120_000, together);
            assert!((1..40).contains(&count), "{count} of 2000 where {together} together");
            let count = shared(&mut decision, 10_000, 120_000, together);
            assert!(count <= 20, "{count} of 10000 where {together} together");
        }
    }

    #[test]
    fn noise_alone_is_no_reason_to_share_and_none_to_part() {
        let (mut without, mut with) = (0, 0);
        for seed in 0..50 {
            let mut noise = noisy(seed, 10);
            without += shared_by(&mut Decision::default(), 1000, |_| noise(120_000));
            let mut noise = noisy(seed, 10);
            with += shared_by(&mut Decision::default(), 1000, |shares| {
                noise(if shares { 120_000 } else { 136_000 })
            });
        }
        assert!(without < 50 * 1000 / 10, "{without} of 50000 windows shared for nothing");
        assert!(with > 50 * 1000 * 9 / 10, "{with} of 50000 windows shared where that is better");
    }

    #[test]
    fn long_executions_are_left_alone() {
        assert_eq!(shared(&mut Decision::default(), 6000, 2_000_000, 1), 0);
    }

    #[test]
    fn what_gets_longer_together_is_parted_and_what_gets_shorter_is_found() {
        let mut decision = Decision::default();
        shared(&mut decision, 200, 150_000, 120_000);
        let later = shared(&mut decision, 2000, 150_000, 300_000);
        assert!(later < 300, "{later}");
        let again = shared(&mut decision, 10_000, 150_000, 120_000);
        assert!(again > 6000, "{again}");
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

    #[test]
    fn what_was_together_before_there_was_nothing_to_do_is_so_again_without_a_trial() {
        let mut decision = Decision::default();
        shared(&mut decision, 100, 150_000, 120_000);
        assert!(matches!(decision.phase, Phase::Together { .. }));
        decision.rested();
        let mut steps: Vec<_> = (0..2 * WINDOW).map(|_| decision.note(150_000)).collect();
        steps.retain(|step| *step != Step::Nothing);
        assert_eq!(steps, [Step::Share]);
        assert!(matches!(decision.phase, Phase::Together { .. }));
        // Long executions after the rest are another matter.
        decision.rested();
        assert!((0..8 * WINDOW).all(|_| decision.note(2_000_000) == Step::Nothing));
    }
}
