//! Which levels of the load are measured of settings.

use super::outcome::{Goal, Level};

/// What has less than this share of what is looked for is not asked for more at once: twice as many requests would not make up for that.
const NEAR: f64 = 0.9;

/// Which levels of the load are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Levels {
    /// From one request under way on, as long as the throughput grows.
    All,
    /// From so many under way, at which others were best, to where it gets no better.
    From(u32),
    /// These two, or one if they are the same.
    Both(u32, u32),
}

/// What a level has to reach for its throughput to be of interest; `None` if it always is.
pub(crate) type Worth = Option<f64>;

impl Levels {
    /// The level to begin with.
    pub(crate) fn first(self) -> u32 {
        match self {
            Levels::All => 1,
            Levels::From(level) | Levels::Both(level, _) => level.max(1),
        }
    }

    /// The same, with at most so many requests under way.
    pub(crate) fn within(self, most: u32) -> Levels {
        match self {
            Levels::All => Levels::All,
            Levels::From(level) => Levels::From(level.min(most)),
            Levels::Both(first, second) => Levels::Both(first.min(most), second.min(most)),
        }
    }

    /// What follows a level, of which so many steps in a row were none forward.
    pub(crate) fn after(self, level: &Level, flat: u32, goal: Goal, worth: Worth) -> Option<u32> {
        let (more, less) = (level.concurrency.checked_mul(2), level.concurrency / 2);
        match self {
            Levels::Both(first, second) => (level.concurrency == first && second > first).then_some(second),
            // A batch may need twice as many requests to be filled, so that one flat step is not the end.
            Levels::All => {
                let is_late = goal.latency_ms.is_some_and(|most| level.p99_ms > 2.0 * most);
                more.filter(|_| flat < 2 && !is_late)
            }
            // Fewer may be within the goal.
            Levels::From(first) if level.concurrency <= first && !goal.has(level) => {
                (less > 0).then_some(less)
            }
            Levels::From(first) => {
                let is_near = worth.is_none_or(|worth| level.rate >= NEAR * worth);
                more.filter(|_| level.concurrency >= first && flat == 0 && is_near && goal.has(level))
            }
        }
    }
}
