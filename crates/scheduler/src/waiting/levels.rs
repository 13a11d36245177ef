//! The requests of each priority level.

use std::collections::BTreeMap;

use super::Place;
use super::slots::List;

/// With more levels than this, a level is removed when its last request leaves.
pub(super) const LEVELS_KEPT: usize = 64;

/// The requests of one priority level.
#[derive(Debug, Default)]
pub(super) struct Level {
    pub(super) in_time: List,
    /// Requests whose deadline has passed, if the policy is to delay them behind the others.
    pub(super) late: List,
    /// Where the next scan for cancelled requests begins when the level is full.
    pub(super) looked_at: Option<Place>,
}

impl Level {
    pub(super) fn len(&self) -> usize {
        self.in_time.len() + self.late.len()
    }
}

/// All levels, by priority. A level is created with its first request.
#[derive(Debug, Default)]
pub(super) struct Levels {
    /// Level 0, the only one of a model without priorities: found without a search.
    only: Level,
    others: BTreeMap<u64, Level>,
}

impl Levels {
    #[inline]
    pub(super) fn get(&self, priority: u64) -> Option<&Level> {
        if priority == 0 { Some(&self.only) } else { self.others.get(&priority) }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, priority: u64) -> Option<&mut Level> {
        if priority == 0 { Some(&mut self.only) } else { self.others.get_mut(&priority) }
    }

    /// The level of this priority, which is created if it does not exist.
    #[inline]
    pub(super) fn make(&mut self, priority: u64) -> &mut Level {
        if priority == 0 { &mut self.only } else { self.others.entry(priority).or_default() }
    }

    /// The first result that `find` gives for a level, from priority `from` on.
    #[inline]
    pub(super) fn find<T>(&self, from: u64, find: impl Fn(u64, &Level) -> Option<T>) -> Option<T> {
        let only = if from == 0 { find(0, &self.only) } else { None };
        if only.is_some() || self.others.is_empty() {
            return only;
        }
        self.others.range(from..).find_map(|(priority, level)| find(*priority, level))
    }

    /// Removes a level without requests if there are many levels.
    #[inline]
    pub(super) fn forget(&mut self, priority: u64) {
        if self.others.len() > LEVELS_KEPT {
            self.others.remove(&priority);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.others.len()
    }
}
