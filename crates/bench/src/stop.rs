//! When a level of the load has told enough to end before its time: by how far what was counted in parts of it spreads.

use std::time::Duration;

use crate::record::Record;
use crate::samples::Samples;

/// Into how many parts a measurement is divided, by whose spread its error is estimated ("batch means").
const PARTS: usize = 10;

/// The 97.5 % quantile of Student's distribution with as many degrees of freedom as parts but one: an interval of 95 %.
const STUDENT: f64 = 2.262;

/// The same of the normal distribution, for shares.
const NORMAL: f64 = 1.96;

/// Fewer answers tell nothing of their spread.
const ENOUGH: u64 = 30;

/// The share of requests that may be later than the goal.
const LATE: f64 = 0.01;

/// Below this share of the time of a level, nothing ends before its time: ten parts of some answers each are needed.
const TICKS: u32 = 60;

/// What has to be known of a level.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    /// Half the width of the interval of the throughput, relative to it.
    pub(crate) precision: f64,
    /// The throughput below which it does not matter how far below it is.
    pub(crate) worth: Option<f64>,
    /// The latency that 99 of 100 requests are to keep.
    pub(crate) latency: Option<Duration>,
}

impl Stop {
    /// How often it is looked whether enough is known, of a measurement that may take so long.
    pub(crate) fn tick(time: Duration) -> Duration {
        (time / TICKS).max(Duration::from_millis(1))
    }

    /// Whether enough is known. `record` has the latencies so far.
    pub(crate) fn is_known(&self, samples: &Samples, record: impl FnOnce() -> Record) -> bool {
        let Some((rate, half)) = samples.parts(PARTS, ENOUGH).map(|parts| interval(&parts)) else {
            return false;
        };
        if self.worth.is_some_and(|worth| rate + half < worth) {
            return true;
        }
        half <= self.precision * rate && self.latency.is_none_or(|goal| is_decided(&record(), goal))
    }

    /// Whether the throughput rises no more, with so many requests under way.
    pub(crate) fn is_warm(samples: &Samples, workers: u32) -> bool {
        // Each has to have been answered, and answers come in batches.
        let enough = (ENOUGH / 3).max(2 * u64::from(workers));
        samples.parts(4, enough).is_some_and(|rates| rates[2] + rates[3] <= rates[0] + rates[1])
    }
}

/// The mean of some rates, and half the width of its interval of 95 %.
fn interval(rates: &[f64]) -> (f64, f64) {
    let count = rates.len() as f64;
    let mean = rates.iter().sum::<f64>() / count;
    let variance = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, STUDENT * (variance / count).sqrt())
}

/// Whether so many answers are clearly within a goal, or clearly not: Wilson's interval of the share of late ones.
fn is_decided(record: &Record, goal: Duration) -> bool {
    let all = record.answered();
    let nanos = u64::try_from(goal.as_nanos()).unwrap_or(u64::MAX);
    let late = all.saturating_sub(record.latencies.count_between(0, nanos)) as f64;
    let (count, square) = (all as f64, NORMAL * NORMAL);
    let middle = (late + square / 2.0) / (count + square);
    let half = NORMAL / (count + square) * (late * (count - late) / count.max(1.0) + square / 4.0).sqrt();
    middle + half < LATE || middle - half > LATE
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::exchange::Reply;

    /// Samples of so many answers in each tick.
    fn samples(each: &[u64]) -> Samples {
        let begin = Instant::now();
        let mut samples = Samples::new(begin);
        let mut all = 0;
        for (number, count) in (1u32..).zip(each) {
            all += count;
            samples.add(begin + Duration::from_millis(10) * number, all);
        }
        samples
    }

    fn record(latencies_ms: impl IntoIterator<Item = u64>) -> Record {
        let (mut record, begin) = (Record::default(), Instant::now());
        for ms in latencies_ms {
            record.add(true, begin, begin + Duration::from_millis(ms), Ok(Reply::SINGLE));
        }
        record
    }

    const PRECISE: Stop = Stop { precision: 0.02, worth: None, latency: None };

    #[test]
    fn a_steady_throughput_is_known_soon() {
        let is_known = |each: &[u64]| PRECISE.is_known(&samples(each), Record::default);
        assert!(is_known(&[10; 10]) && is_known(&[10; 20]));
        assert!(!is_known(&[10; 9]), "parts are whole ticks");
        assert!(!is_known(&[1; 10]), "of ten answers nothing is known");
        assert!(!is_known(&[0; 10]));
        let uneven: Vec<u64> = (0..10).map(|number| if number % 2 == 0 { 15 } else { 5 }).collect();
        assert!(!is_known(&uneven));
        // Of twice the ticks, each part has one of both.
        assert!(is_known(&uneven.repeat(2)));
    }

    #[test]
    fn what_is_clearly_below_what_counts_needs_no_precision() {
        let uneven: Vec<u64> = (0..10).map(|number| if number % 2 == 0 { 13 } else { 7 }).collect();
        let is_known =
            |worth| Stop { worth: Some(worth), ..PRECISE }.is_known(&samples(&uneven), Record::default);
        // 1,000 a second, give or take 226.
        assert!(is_known(1300.0) && !is_known(1200.0) && !is_known(900.0));
    }

    #[test]
    fn a_goal_is_decided_once_the_late_are_clearly_few_or_many() {
        let stop = Stop { latency: Some(Duration::from_millis(10)), ..PRECISE };
        let is_known = |latencies: Vec<u64>| stop.is_known(&samples(&[10; 10]), || record(latencies));
        assert!(!is_known(vec![5; 100]), "one of the next may be late");
        assert!(is_known(vec![5; 500]) && is_known(vec![20; 100]));
        assert!(!is_known((0..500).map(|number| if number % 100 == 0 { 20 } else { 5 }).collect()));
    }

    #[test]
    fn warm_is_what_rises_no_more() {
        assert!(!Stop::is_warm(&samples(&[1, 5, 10, 10]), 2));
        assert!(Stop::is_warm(&samples(&[10; 4]), 2));
        assert!(!Stop::is_warm(&samples(&[10; 4]), 64), "not all have had an answer");
    }
}
