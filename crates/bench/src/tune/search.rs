//! Which settings are tried: one after the other, from the best so far.

use hippocamp_client::Result;

use super::settings::{Settings, Space};

/// By how much a score has to be better to count: measurements of a busy machine differ by a few hundredths.
const GAIN: f64 = 0.03;

/// How often all settings are gone through. A setting may be worth another look once the others have changed.
const ROUNDS: usize = 2;

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

/// What came of settings: the levels that were measured; none if the model could not be loaded with them, for the reason.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) levels: Vec<Level>,
    pub(crate) refused: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tried {
    pub(crate) settings: Settings,
    pub(crate) outcome: Outcome,
}

impl Outcome {
    /// The level with the highest throughput within the goal.
    pub(crate) fn best(&self, goal: Goal) -> Option<Level> {
        let within = |level: &&Level| goal.latency_ms.is_none_or(|most| level.p99_ms <= most);
        self.levels.iter().filter(within).copied().max_by(|a, b| a.rate.total_cmp(&b.rate))
    }

    /// The throughput within the goal. Where no level is within, the shorter latency is better, below all that are.
    pub(crate) fn score(&self, goal: Goal) -> f64 {
        match self.best(goal) {
            Some(level) => level.rate,
            None => -self.levels.iter().map(|level| level.p99_ms).fold(f64::INFINITY, f64::min),
        }
    }
}

/// Whether a score is clearly better than another one.
pub(crate) fn is_better(score: f64, than: f64) -> bool {
    score > than + GAIN * than.abs() && score > f64::NEG_INFINITY
}

/// Tries settings, of which the first are those of the config.
pub(crate) async fn search(
    space: &Space,
    goal: Goal,
    mut measure: impl AsyncFnMut(&Settings) -> Result<Outcome>,
) -> Result<Vec<Tried>> {
    let start = Settings::default();
    let mut tried = vec![Tried { settings: start, outcome: measure(&start).await? }];
    let (mut best, mut score) = (start, tried[0].outcome.score(goal));
    for _ in 0..ROUNDS {
        let before = best;
        for dimension in [instances, batches, delays] {
            for settings in dimension(space, best) {
                if tried.iter().any(|earlier| earlier.settings == settings) {
                    continue;
                }
                let outcome = measure(&settings).await?;
                let found = outcome.score(goal);
                tried.push(Tried { settings, outcome });
                if is_better(found, score) {
                    (best, score) = (settings, found);
                }
            }
        }
        if best == before {
            break;
        }
    }
    Ok(tried)
}

fn instances(space: &Space, best: Settings) -> Vec<Settings> {
    let with = |&(instances, threads)| Settings { instances: Some(instances), threads, ..best };
    space.instances.iter().map(with).collect()
}

fn batches(space: &Space, best: Settings) -> Vec<Settings> {
    space.max_batch.iter().map(|&max_batch| Settings { max_batch: Some(max_batch), ..best }).collect()
}

fn delays(space: &Space, best: Settings) -> Vec<Settings> {
    space.delay_us.iter().map(|&delay| Settings { delay_us: Some(delay), ..best }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> Space {
        Space {
            instances: vec![(1, None), (2, None), (4, None)],
            max_batch: vec![1, 2, 4, 8],
            delay_us: vec![0, 1000],
        }
    }

    fn found(goal: Goal, model: impl Fn(&Settings) -> Outcome) -> (Settings, usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let tried = runtime
            .block_on(search(&space(), goal, async |settings: &Settings| Ok(model(settings))))
            .unwrap();
        let best = super::super::best(&tried, goal);
        (tried[best].settings, tried.len())
    }

    /// A machine of two cores: more instances than that are slower, batches are faster, waiting costs latency.
    fn machine(settings: &Settings) -> Outcome {
        let instances = f64::from(settings.instances.unwrap_or(1));
        let batch = f64::from(settings.max_batch.unwrap_or(4));
        let delay = f64::from(settings.delay_us.unwrap_or(0));
        let rate = 100.0 * instances.min(2.0) / instances.max(2.0).sqrt() * batch.sqrt();
        let level = |concurrency: u32| Level {
            concurrency,
            rate: rate * (1.0 - 0.5 / f64::from(concurrency)),
            p99_ms: f64::from(concurrency) * 1000.0 / rate + delay / 1000.0,
        };
        Outcome { levels: [1, 4, 16].map(level).to_vec(), refused: None }
    }

    #[test]
    fn finds_the_best_of_a_smooth_machine() {
        let (best, count) = found(Goal { latency_ms: None }, machine);
        assert_eq!((best.instances, best.max_batch), (Some(2), Some(8)));
        assert!(count <= 1 + 2 * (3 + 4 + 2), "{count}");
    }

    #[test]
    fn the_goal_is_kept_where_it_can_be() {
        let goal = Goal { latency_ms: Some(20.0) };
        let (best, _) = found(goal, machine);
        assert!(machine(&best).best(goal).is_some_and(|level| level.p99_ms <= 20.0));
        // Nothing is within: the shortest latency is best.
        let goal = Goal { latency_ms: Some(0.001) };
        let (best, _) = found(goal, machine);
        assert!(machine(&best).score(goal) > machine(&Settings::default()).score(goal));
    }

    #[test]
    fn what_is_no_better_stays_as_it_is() {
        let (best, _) = found(Goal { latency_ms: None }, |_| machine(&Settings::default()));
        assert_eq!(best, Settings::default());
        let refused = |settings: &Settings| match settings.instances {
            Some(_) => Outcome { levels: Vec::new(), refused: Some("no memory".to_owned()) },
            None => machine(settings),
        };
        assert_eq!(found(Goal { latency_ms: None }, refused).0.instances, None);
    }
}
