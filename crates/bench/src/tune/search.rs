//! Which settings are tried: one after the other, from the best so far.

use hippocamp_client::Result;

use super::finals;
use super::levels::{Levels, Worth};
use super::outcome::{Goal, Outcome, Tried, is_better, least_better};
use super::settings::{Settings, Space};

/// How often all settings are gone through. A setting may be worth another look once the others have changed.
const ROUNDS: usize = 2;

/// Values that reached less than this of what the best of their setting did are not looked at again.
const WORTH: f64 = 0.85;

/// The place of the batches among what is varied. Once smaller ones are weak, those that follow are smaller still.
const BATCHES: usize = 1;

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
    let Search { mut tried, best, .. } = search;
    let best = if best > 0 { finals::decide(&mut tried, best, goal, &mut measure).await? } else { 0 };
    if best > 0 && draws {
        // The line of the best in the picture is to be as long as that of the config as it was.
        let outcome = measure(&tried[best].settings, Levels::All, None).await?;
        tried[best].outcome.add(outcome.unwrap_or_default());
    }
    Ok(Found { tried, best })
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
        let dimensions = [instances, batches, delays];
        let mut scores = dimensions.map(|_| Vec::new());
        for round in 0..ROUNDS {
            let before = self.best;
            for (number, dimension) in dimensions.iter().enumerate() {
                let earlier: &mut Vec<f64> = &mut scores[number];
                let values = dimension(space, self.tried[self.best].settings);
                let mut now = Vec::new();
                for (place, settings) in values.into_iter().enumerate() {
                    let is_weak = is_weak(earlier.get(place).copied(), earlier)
                        || (number == BATCHES && is_weak(now.last().copied(), &now));
                    now.push(if is_weak {
                        f64::NEG_INFINITY
                    } else {
                        self.try_one(settings, measure).await?
                    });
                }
                if round == 0 {
                    *earlier = now;
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
        // Fewer do not fill the batches of all instances. With a goal, few may be all that is within it.
        let instances = if self.goal.latency_ms.is_some() { 1 } else { settings.instances.unwrap_or(1) };
        let from = best.max(settings.max_batch.unwrap_or(1).saturating_mul(instances));
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
}

/// Whether a score is so much less than the highest that it will not be the best, whatever else is changed.
fn is_weak(score: Option<f64>, scores: &[f64]) -> bool {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    most > 0.0 && score.is_some_and(|score| score < WORTH * most)
}

fn instances(space: &Space, best: Settings) -> Vec<Settings> {
    let with = |&(instances, threads)| Settings { instances: Some(instances), threads, ..best };
    space.instances.iter().map(with).collect()
}

/// The largest first: it bounds a batch, and makes none, so that smaller ones rarely gain.
fn batches(space: &Space, best: Settings) -> Vec<Settings> {
    // Without being joined, requests fill no batch, however large it may be.
    let delay_us = best.delay_us.or((!space.joins).then_some(0));
    let with = |&max_batch| Settings { max_batch: Some(max_batch), delay_us, ..best };
    space.max_batch.iter().rev().map(with).collect()
}

fn delays(space: &Space, best: Settings) -> Vec<Settings> {
    space.delay_us.iter().map(|&delay| Settings { delay_us: Some(delay), ..best }).collect()
}

#[cfg(test)]
mod tests;
