//! What happened between the looks at the page.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::page::{Counters, Name, Page};

/// How many intervals the small charts show.
pub(crate) const LENGTH: usize = 24;

/// What a model did in one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Row {
    /// A second.
    pub(crate) requests: f64,
    pub(crate) failures: f64,
    /// Entries of an execution; 0 without one.
    pub(crate) batch: f64,
    /// Milliseconds of a request, on average; `None` without one.
    pub(crate) latency: Option<f64>,
    pub(crate) queue: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) pending: f64,
}

/// The last two pages, and the rows of the last intervals.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) page: Page,
    at: Instant,
    pub(crate) rows: BTreeMap<Name, VecDeque<Row>>,
}

impl History {
    pub(crate) fn new(page: Page, at: Instant) -> History {
        History { page, at, rows: BTreeMap::new() }
    }

    /// Adds an interval, up to this page. A model that is gone from it is forgotten.
    pub(crate) fn add(&mut self, page: Page, at: Instant) {
        let seconds = at.saturating_duration_since(self.at).as_secs_f64().max(1e-3);
        self.rows.retain(|name, _| page.models.contains_key(name));
        for (name, now) in &page.models {
            let before = self.page.models.get(name).filter(|before| !before.is_beyond(now));
            let nothing = Counters::default();
            // One that was loaded again, or a server that was started again, counts from nothing.
            let row = row(before.unwrap_or(&nothing), now, seconds);
            let rows = self.rows.entry(name.clone()).or_default();
            rows.push_back(row);
            if rows.len() > LENGTH {
                rows.pop_front();
            }
        }
        (self.page, self.at) = (page, at);
    }
}

fn row(before: &Counters, now: &Counters, seconds: f64) -> Row {
    let requests = now.success - before.success;
    let mean = |now: f64, before: f64| (requests > 0.0).then(|| (now - before) / requests / 1000.0);
    let executions = now.executions - before.executions;
    Row {
        requests: requests / seconds,
        failures: (now.failure - before.failure).max(0.0) / seconds,
        batch: if executions > 0.0 { (now.inferences - before.inferences) / executions } else { 0.0 },
        latency: mean(now.request_us, before.request_us),
        queue: mean(now.queue_us, before.queue_us),
        p99: quantile(0.99, &before.buckets, &now.buckets),
        pending: now.pending,
    }
}

/// A quantile in milliseconds, of what came into the buckets between two pages: in the bucket linearly, as Prometheus does.
fn quantile(share: f64, before: &[(f64, f64)], now: &[(f64, f64)]) -> Option<f64> {
    let old = |place: usize| before.get(place).map_or(0.0, |(_, count)| *count);
    let counts: Vec<(f64, f64)> =
        now.iter().enumerate().map(|(i, (bound, count))| (*bound, count - old(i))).collect();
    let rank = counts.last()?.1 * share;
    if rank <= 0.0 {
        return None;
    }
    let place = counts.iter().position(|(_, count)| *count >= rank)?;
    let (low, under) = place.checked_sub(1).map_or((0.0, 0.0), |lower| counts[lower]);
    let (high, upto) = counts[place];
    let high = if high.is_finite() { high } else { low };
    let within = if upto > under { (rank - under) / (upto - under) } else { 1.0 };
    Some((low + (high - low) * within) / 1000.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn page(success: f64, bucket: [f64; 3]) -> Page {
        let buckets = [1000.0, 2000.0, f64::INFINITY].into_iter().zip(bucket).collect();
        let counters = Counters {
            success,
            failure: success / 10.0,
            inferences: success * 4.0,
            executions: success,
            request_us: success * 1500.0,
            queue_us: success * 500.0,
            pending: 3.0,
            buckets,
        };
        Page { models: BTreeMap::from([(Name::default(), counters)]), sums: BTreeMap::new() }
    }

    #[test]
    fn rates_means_and_quantiles_are_of_the_interval() {
        let begun = Instant::now();
        let mut history = History::new(page(100.0, [100.0, 100.0, 100.0]), begun);
        history.add(page(300.0, [100.0, 300.0, 300.0]), begun + Duration::from_secs(2));
        let row = history.rows[&Name::default()][0];
        assert_eq!((row.requests, row.failures, row.batch, row.pending), (100.0, 10.0, 4.0, 3.0));
        assert_eq!((row.latency, row.queue), (Some(1.5), Some(0.5)));
        assert!((row.p99.unwrap() - 1.99).abs() < 1e-9, "{row:?}");
        // Nothing happened.
        history.add(page(300.0, [100.0, 300.0, 300.0]), begun + Duration::from_secs(3));
        let row = history.rows[&Name::default()][1];
        assert_eq!((row.requests, row.latency, row.p99), (0.0, None, None));
        // The server was started again.
        history.add(page(10.0, [0.0, 10.0, 10.0]), begun + Duration::from_secs(4));
        assert!((history.rows[&Name::default()][2].requests - 10.0).abs() < 1e-9);
        // The model is gone.
        history.add(Page::default(), begun + Duration::from_secs(5));
        assert!(history.rows.is_empty());
    }

    #[test]
    fn only_the_last_intervals_are_kept() {
        let begun = Instant::now();
        let mut history = History::new(page(0.0, [0.0; 3]), begun);
        for second in 1..=LENGTH as u32 * 2 {
            history.add(page(f64::from(second), [0.0; 3]), begun + Duration::from_secs(u64::from(second)));
        }
        assert_eq!(history.rows[&Name::default()].len(), LENGTH);
    }
}
