use std::cell::RefCell;

use super::*;
use crate::tune::outcome::Level;

fn space() -> Space {
    Space {
        instances: vec![(1, None), (2, None), (4, None)],
        max_batch: vec![1, 2, 4, 8],
        delay_us: vec![0, 1000],
        joins: true,
    }
}

/// What is found on a machine that gives a level for settings and a number of requests under way; and how many levels were measured.
fn found(goal: Goal, machine: impl Fn(&Settings, u32) -> Result<Level, String>) -> (Found, usize) {
    found_in(&space(), goal, machine)
}

fn found_in(
    space: &Space,
    goal: Goal,
    machine: impl Fn(&Settings, u32) -> Result<Level, String>,
) -> (Found, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let count = RefCell::new(0);
    let climb = |settings: &Settings, levels: Levels, worth: Worth| {
        let (mut measured, mut next, mut before, mut flat) = (Vec::new(), Some(levels.first()), 0.0, 0);
        while let Some(concurrency) = next.filter(|concurrency| *concurrency <= 64) {
            *count.borrow_mut() += 1;
            let level = match machine(settings, concurrency) {
                Ok(level) => level,
                Err(why) => return Outcome::refused(why),
            };
            flat = if level.rate < before * 1.03 { flat + 1 } else { 0 };
            before = level.rate;
            measured.push(level);
            next = levels.after(&level, flat, goal, worth);
        }
        Outcome::of(measured)
    };
    let measure = async |settings: &Settings, levels, worth| Ok(Some(climb(settings, levels, worth)));
    let search = search(space, goal, true, measure);
    let found = runtime.block_on(search).unwrap();
    (found, count.into_inner())
}

fn settings(found: &Found) -> Settings {
    found.tried[found.best].settings
}

/// A machine of two cores: more instances than that are slower, batches are faster, waiting costs latency.
fn two_cores(settings: &Settings, concurrency: u32) -> Level {
    let instances = f64::from(settings.instances.unwrap_or(1));
    let batch = f64::from(settings.max_batch.unwrap_or(4));
    let delay = f64::from(settings.delay_us.unwrap_or(0));
    let most = 100.0 * instances.min(2.0) / instances.max(2.0).sqrt() * batch.sqrt();
    let rate = most * (1.0 - 0.5 / f64::from(concurrency));
    Level { concurrency, rate, p99_ms: f64::from(concurrency) * 1000.0 / rate + delay / 1000.0 }
}

const HIGHEST: Goal = Goal { latency_ms: None };

#[test]
fn finds_the_best_of_a_smooth_machine() {
    let (found, levels) = found(HIGHEST, |settings, concurrency| Ok(two_cores(settings, concurrency)));
    assert_eq!((settings(&found).instances, settings(&found).max_batch), (Some(2), Some(8)));
    assert!(found.tried.len() <= 1 + 2 * (3 + 4 + 2), "{}", found.tried.len());
    // Others begin where the best was: they take less than two levels each.
    assert!(levels <= 2 * found.tried.len() + 32, "{levels} levels of {}", found.tried.len());
    // The lines of the picture begin with one request.
    for index in [0, found.best] {
        assert_eq!(found.tried[index].outcome.levels[0].concurrency, 1);
    }
}

#[test]
fn batches_are_found_where_requests_are_not_joined_yet() {
    // To join requests, or a larger batch, gains nothing without the other, and both do once a batch is full.
    let machine = |settings: &Settings, concurrency: u32| {
        let batch = if settings.delay_us.is_some() { settings.max_batch.unwrap_or(1) } else { 1 };
        let rate = 100.0 * f64::from(if concurrency >= batch { batch } else { 1 });
        Ok(Level { concurrency, rate, p99_ms: 1.0 })
    };
    let (found, _) = found_in(&Space { joins: false, ..space() }, HIGHEST, machine);
    assert_eq!((settings(&found).max_batch, settings(&found).delay_us), (Some(8), Some(0)));
}

#[test]
fn the_goal_is_kept_where_it_can_be() {
    let goal = Goal { latency_ms: Some(20.0) };
    let (found_within, _) = found(goal, |settings, concurrency| Ok(two_cores(settings, concurrency)));
    let best = &found_within.tried[found_within.best].outcome;
    assert!(best.best(goal).is_some_and(|level| level.p99_ms <= 20.0));
    assert!(best.score(goal) > found_within.tried[0].outcome.score(goal));
    // Nothing is within: the shortest latency is best.
    let goal = Goal { latency_ms: Some(0.001) };
    let (found_without, _) = found(goal, |settings, concurrency| Ok(two_cores(settings, concurrency)));
    let best = &found_without.tried[found_without.best].outcome;
    assert!(best.best(goal).is_none());
    assert!(best.score(goal) > found_without.tried[0].outcome.score(goal));
}

#[test]
fn a_goal_that_the_best_level_of_others_misses_is_met_at_a_lower_one() {
    // Two instances double the throughput and, at the same level, the latency.
    let machine = |settings: &Settings, concurrency: u32| {
        let instances = f64::from(settings.instances.unwrap_or(1).min(2));
        let rate = 100.0 * instances * f64::from(concurrency.min(4));
        Ok(Level { concurrency, rate, p99_ms: instances * f64::from(concurrency) })
    };
    let goal = Goal { latency_ms: Some(4.0) };
    let (found, _) = found(goal, machine);
    let one = found.tried.iter().find(|tried| tried.settings.instances == Some(2)).unwrap();
    assert_eq!(one.outcome.best(goal).map(|level| level.concurrency), Some(2));
}

#[test]
fn what_is_no_better_stays_as_it_is() {
    let (same, _) = found(HIGHEST, |_, concurrency| Ok(two_cores(&Settings::default(), concurrency)));
    assert_eq!(same.best, 0);
    let (refused, _) = found(HIGHEST, |settings, concurrency| match settings.instances {
        Some(_) => Err("no memory".to_owned()),
        None => Ok(two_cores(settings, concurrency)),
    });
    assert_eq!(settings(&refused).instances, None);
}

#[test]
fn luck_is_no_reason() {
    // One of the first measurements in so many is half as good again, of settings that are all the same.
    for every in 2..9 {
        let count = RefCell::new(0);
        let (found, _) = found(HIGHEST, |_, concurrency| {
            *count.borrow_mut() += 1;
            let luck = if *count.borrow() % every == 0 && *count.borrow() < 12 { 1.5 } else { 1.0 };
            let level = two_cores(&Settings::default(), concurrency);
            Ok(Level { rate: level.rate * luck, ..level })
        });
        assert_eq!(found.best, 0, "{every}: {found:?}");
    }
}

#[test]
fn settings_that_can_be_loaded_are_better_than_a_config_that_cannot() {
    let (found, _) = found(HIGHEST, |settings, concurrency| match settings.instances {
        Some(1) => Ok(two_cores(settings, concurrency)),
        _ => Err("no memory".to_owned()),
    });
    assert_eq!(settings(&found).instances, Some(1));
    assert_eq!(found.tried[0].outcome.refused.as_deref(), Some("no memory"));
}

/// Measurements that differ by some hundredths, in turns and by themselves, as those of a busy machine.
fn noisy(seed: u64) -> impl FnMut(f64) -> f64 {
    let mut random = fastrand::Rng::with_seed(seed);
    move |rate| rate * (1.0 + 0.04 * (random.f64() - 0.5))
}

#[test]
fn what_gains_nothing_is_not_written() {
    // Instances and batches gain. A delay and a number of threads do not, whatever luck says of them.
    for seed in 0..20 {
        let noise = RefCell::new(noisy(seed));
        let space = Space { instances: vec![(1, None), (2, None), (2, Some(1))], ..space() };
        let (found, _) = found_in(&space, HIGHEST, |settings, concurrency| {
            let level = two_cores(&Settings { delay_us: None, ..*settings }, concurrency);
            Ok(Level { rate: (noise.borrow_mut())(level.rate), ..level })
        });
        let best = settings(&found);
        assert_eq!((best.instances, best.max_batch), (Some(2), Some(8)), "{seed}");
        assert!(best.threads.is_none() && best.delay_us.unwrap_or(0) == 0, "{seed}: {best}");
    }
}

#[test]
fn what_gains_more_than_luck_is_written() {
    // A delay gains a tenth.
    for seed in 0..20 {
        let noise = RefCell::new(noisy(seed));
        let (found, _) = found(HIGHEST, |settings, concurrency| {
            let level = two_cores(&Settings { delay_us: None, ..*settings }, concurrency);
            let gain = if settings.delay_us == Some(1000) { 1.1 } else { 1.0 };
            Ok(Level { rate: (noise.borrow_mut())(level.rate * gain), ..level })
        });
        assert_eq!(settings(&found).delay_us, Some(1000), "{seed}: {found:?}");
    }
}
