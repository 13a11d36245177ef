//! What came of settings, and which of them are better.

use super::settings::Settings;

/// By how much a score has to be better to count: measurements of a busy machine differ by a few hundredths.
const GAIN: f64 = 0.03;

/// Levels that reach this much of the most are as good as the one that does: the lowest of them has the shortest latencies.
const AS_GOOD: f64 = 0.98;

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Goal {
    /// The longest 99th percentile, in milliseconds.
    pub(crate) latency_ms: Option<f64>,
}

/// A level of the load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Level {
    pub(crate) concurrency: u32,
    /// Answered requests a second.
    pub(crate) rate: f64,
    /// The 99th percentile, in milliseconds.
    pub(crate) p99_ms: f64,
}

/// What came of settings: the levels that were measured, in their order; none if the model could not be loaded with them, for the
/// reason.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) levels: Vec<Level>,
    /// The best of the levels that were measured again in the end: that of many measurements may owe some of it to luck.
    confirmed: Option<Level>,
    pub(crate) refused: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tried {
    pub(crate) settings: Settings,
    pub(crate) outcome: Outcome,
}

impl Goal {
    pub(crate) fn has(self, level: &Level) -> bool {
        self.latency_ms.is_none_or(|most| level.p99_ms <= most)
    }
}

impl Outcome {
    /// The lowest level that has about the highest throughput within the goal.
    pub(crate) fn best(&self, goal: Goal) -> Option<Level> {
        if self.refused.is_some() {
            return None;
        }
        if let Some(level) = self.confirmed.filter(|level| goal.has(level)) {
            return Some(level);
        }
        // If that has missed the goal, a lower one may do.
        let is_below = |level: &Level| self.confirmed.is_none_or(|top| level.concurrency < top.concurrency);
        let within = || self.levels.iter().filter(|level| goal.has(level) && is_below(level)).copied();
        let most = within().map(|level| level.rate).fold(0.0, f64::max);
        within().find(|level| level.rate >= AS_GOOD * most)
    }

    /// The best level; where none is within the goal, the one with the shortest latency.
    pub(crate) fn chosen(&self, goal: Goal) -> Option<Level> {
        let quickest = || self.levels.iter().copied().min_by(|a, b| a.p99_ms.total_cmp(&b.p99_ms));
        if self.refused.is_some() { None } else { self.best(goal).or_else(quickest) }
    }

    /// The throughput within the goal. Where no level is within, the shorter latency is better, below all that are.
    pub(crate) fn score(&self, goal: Goal) -> f64 {
        match (self.best(goal), self.chosen(goal)) {
            (Some(level), _) => level.rate,
            (None, Some(level)) => -level.p99_ms,
            (None, None) => f64::NEG_INFINITY,
        }
    }

    /// Levels that were measured.
    pub(crate) fn of(levels: Vec<Level>) -> Outcome {
        Outcome { levels, ..Outcome::default() }
    }

    /// Nothing, for a reason.
    pub(crate) fn refused(why: String) -> Outcome {
        Outcome { refused: Some(why), ..Outcome::default() }
    }

    /// Adds the levels that are not there yet.
    pub(crate) fn add(&mut self, other: Outcome) {
        for level in other.levels {
            if self.levels.iter().all(|there| there.concurrency != level.concurrency) {
                self.levels.push(level);
            }
        }
        self.levels.sort_by_key(|level| level.concurrency);
    }

    /// Takes the middle of several measurements of a level for it, and the best of these levels for the outcome.
    pub(crate) fn confirm(&mut self, again: &[Level], goal: Goal) {
        let mut confirmed = Outcome::default();
        for concurrency in again.iter().map(|level| level.concurrency) {
            let middle = |of: fn(&Level) -> f64| {
                let same = again.iter().filter(|level| level.concurrency == concurrency);
                let mut values: Vec<f64> = same.map(of).collect();
                values.sort_by(f64::total_cmp);
                f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
            };
            let level =
                Level { concurrency, rate: middle(|level| level.rate), p99_ms: middle(|level| level.p99_ms) };
            confirmed.add(Outcome::of(vec![level]));
        }
        self.confirmed = confirmed.chosen(goal);
        let kept = std::mem::replace(&mut self.levels, confirmed.levels);
        self.add(Outcome::of(kept));
    }
}

/// The least score that is clearly better than another one.
pub(crate) fn least_better(than: f64) -> f64 {
    than + GAIN * than.abs()
}

/// Whether a score is clearly better than another one.
pub(crate) fn is_better(score: f64, than: f64) -> bool {
    // Nothing is worse than what was refused.
    if than == f64::NEG_INFINITY { score > than } else { score > least_better(than) }
}
