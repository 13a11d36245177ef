//! Which settings are tried: one after the other, from the best so far; the best of them once more, in turns.

use hippocamp_client::Result;

use super::outcome::{Goal, Level, Outcome, Tried, is_better, least_better};
use super::settings::{Settings, Space};

/// How often all settings are gone through. A setting may be worth another look once the others have changed.
const ROUNDS: usize = 2;

/// Values that reached less than this of what the best of their setting did are not looked at again.
const WORTH: f64 = 0.85;

/// How many others are compared with the config as it is in the end.
const FINALISTS: usize = 2;

/// How often each of these is measured. The best of many measurements owes some of it to luck, which a second one does not repeat.
const TURNS: usize = 3;

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
    pub(crate) fn after(self, level: &Level, flat: u32, goal: Goal) -> Option<u32> {
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
                more.filter(|_| level.concurrency >= first && flat == 0 && goal.has(level))
            }
        }
    }
}

/// What a level has to reach for its throughput to be of interest; `None` if it always is.
pub(crate) type Worth = Option<f64>;

/// Measures settings; `None` if they are the same as others that were measured.
pub(crate) trait Measure: AsyncFnMut(&Settings, Levels, Worth) -> Result<Option<Outcome>> {}

impl<F: AsyncFnMut(&Settings, Levels, Worth) -> Result<Option<Outcome>>> Measure for F {}

/// What was tried, of which the first are the settings of the config, and the index of the best.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) tried: Vec<Tried>,
    pub(crate) best: usize,
}

/// Tries settings. `draws` is whether all levels of the best are wanted, for a picture.
pub(crate) async fn search(
    space: &Space,
    goal: Goal,
    draws: bool,
    mut measure: impl Measure,
) -> Result<Found> {
    let start = Settings::default();
    let outcome = measure(&start, Levels::All, None).await?.unwrap_or_default();
    let mut search = Search { goal, tried: vec![Tried { settings: start, outcome }], best: 0 };
    search.vary(space, &mut measure).await?;
    let best = search.finals(&mut measure).await?;
    if best > 0 && draws {
        // The line of the best in the picture is to be as long as that of the config as it was.
        let outcome = measure(&search.tried[best].settings, Levels::All, None).await?;
        search.tried[best].outcome.add(outcome.unwrap_or_default());
    }
    Ok(Found { tried: search.tried, best })
}

struct Search {
    goal: Goal,
    tried: Vec<Tried>,
    best: usize,
}

impl Search {
    fn score(&self, index: usize) -> f64 {
        self.tried[index].outcome.score(self.goal)
    }

    /// Varies one setting after the other.
    async fn vary(&mut self, space: &Space, measure: &mut impl Measure) -> Result<()> {
        let dimensions = [instances, delays, batches];
        let mut scores = dimensions.map(|_| Vec::new());
        for round in 0..ROUNDS {
            let before = self.best;
            for (dimension, scores) in dimensions.iter().zip(&mut scores) {
                let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let values = dimension(space, self.tried[self.best].settings);
                for (number, settings) in values.into_iter().enumerate() {
                    let is_weak = most > 0.0 && scores.get(number).is_some_and(|score| *score < WORTH * most);
                    let score =
                        if is_weak { f64::NEG_INFINITY } else { self.try_one(settings, measure).await? };
                    if round == 0 {
                        scores.push(score);
                    }
                }
            }
            if self.best == before {
                break;
            }
        }
        Ok(())
    }

    /// The score of settings, which are measured unless they were before.
    async fn try_one(&mut self, settings: Settings, measure: &mut impl Measure) -> Result<f64> {
        if let Some(earlier) = self.tried.iter().position(|earlier| earlier.settings == settings) {
            return Ok(self.score(earlier));
        }
        let best = self.tried[self.best].outcome.chosen(self.goal).map_or(1, |level| level.concurrency);
        // Fewer do not fill a batch.
        let from = best.max(settings.max_batch.unwrap_or(1));
        // What misses the least that counts as better does so clearly or not.
        let score = self.score(self.best);
        let worth = (score > 0.0).then(|| least_better(score));
        let Some(outcome) = measure(&settings, Levels::From(from), worth).await? else {
            // As good as what they are the same as.
            return Ok(self.score(self.best));
        };
        self.tried.push(Tried { settings, outcome });
        let index = self.tried.len() - 1;
        if is_better(self.score(index), self.score(self.best)) {
            self.best = index;
        }
        Ok(self.score(index))
    }

    /// The best of those that seem to be, measured in turns with the config as it is.
    async fn finals(&mut self, measure: &mut impl Measure) -> Result<usize> {
        let mut order: Vec<usize> =
            (1..self.tried.len()).filter(|index| is_better(self.score(*index), self.score(0))).collect();
        order.sort_by(|a, b| self.score(*b).total_cmp(&self.score(*a)));
        order.truncate(FINALISTS);
        if order.is_empty() {
            return Ok(0);
        }
        order.insert(0, 0);
        order.retain(|index| self.tried[*index].outcome.chosen(self.goal).is_some());
        let level =
            |index: &usize| self.tried[*index].outcome.chosen(self.goal).map_or(1, |level| level.concurrency);
        // At the level of the others, too: that the one of some is lower may be luck as well.
        let most = order.iter().map(level).max().unwrap_or(1);
        let mut measured: Vec<Vec<Outcome>> = vec![Vec::new(); order.len()];
        for turn in 0..TURNS {
            // Back and forth, so that what is loaded is measured twice before the next is loaded, and a drift of the machine is none.
            let mut places: Vec<usize> = (0..order.len()).collect();
            if turn % 2 == 1 {
                places.reverse();
            }
            for place in places {
                let index = order[place];
                let own = level(&index);
                let both = Levels::Both(own, if self.goal.latency_ms.is_some() { own } else { most });
                let again = measure(&self.tried[index].settings, both, None).await?.unwrap_or_default();
                measured[place].push(again);
            }
            if turn > 0 && is_decided(&measured, self.goal) {
                break;
            }
        }
        for (index, outcomes) in order.iter().zip(measured) {
            let levels: Vec<Level> = outcomes.into_iter().flat_map(|outcome| outcome.levels).collect();
            self.tried[*index].outcome.confirm(&levels, self.goal);
        }
        let better = |best, index| if is_better(self.score(index), self.score(best)) { index } else { best };
        Ok(order.into_iter().reduce(better).unwrap_or(0))
    }
}

/// Whether further turns would hardly change what is best: each measurement of the one with the best of the lowest is better than all of
/// each other, or no measurements of the two are so far apart that it would count. A goal for the latency is decided by few
/// requests in a hundred, so that no two turns are enough.
fn is_decided(measured: &[Vec<Outcome>], goal: Goal) -> bool {
    let scores = measured.iter().map(|outcomes| outcomes.iter().map(|outcome| outcome.score(goal)));
    let ends: Vec<(f64, f64)> = scores
        .map(|scores| {
            scores.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), s| (low.min(s), high.max(s)))
        })
        .collect();
    let Some(best) = ends.iter().copied().max_by(|a, b| a.0.total_cmp(&b.0)) else { return true };
    let is_apart = |other: (f64, f64)| is_better(best.0, other.1);
    let is_same = |other: (f64, f64)| !is_better(best.1.max(other.1), best.0.min(other.0));
    goal.latency_ms.is_none() && ends.iter().all(|&other| other == best || is_apart(other) || is_same(other))
}

fn instances(space: &Space, best: Settings) -> Vec<Settings> {
    let with = |&(instances, threads)| Settings { instances: Some(instances), threads, ..best };
    space.instances.iter().map(with).collect()
}

fn batches(space: &Space, best: Settings) -> Vec<Settings> {
    // Without being joined, requests fill no batch, however large it may be.
    let delay_us = best.delay_us.or((!space.joins).then_some(0));
    let with = |&max_batch| Settings { max_batch: Some(max_batch), delay_us, ..best };
    space.max_batch.iter().map(with).collect()
}

fn delays(space: &Space, best: Settings) -> Vec<Settings> {
    space.delay_us.iter().map(|&delay| Settings { delay_us: Some(delay), ..best }).collect()
}

#[cfg(test)]
mod tests;
