//! What a thread writes down of its requests.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::exchange::{Fault, Reply};

/// The longest latency that is told from a longer one.
const LONGEST: Duration = Duration::from_hours(1);

/// Significant decimal digits of recorded latencies.
const DIGITS: u8 = 3;

/// How many errors are told apart by their texts.
const MAX_TEXTS: usize = 32;

/// Latencies in nanoseconds.
pub(crate) type Latencies = Histogram<u64>;

/// An empty histogram of latencies.
pub(crate) fn latencies() -> Latencies {
    // The bounds are constants that the library accepts.
    Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, DIGITS).unwrap_or_else(|_| unreachable!())
}

/// The requests of a thread, or of several.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// From the begin of each measured request that was answered to the end of its answer.
    pub(crate) latencies: Latencies,
    /// From the begin to the first response, where there may be several.
    pub(crate) first: Option<Latencies>,
    pub(crate) responses: u64,
    /// How many measured requests failed, by error.
    pub(crate) errors: BTreeMap<String, u64>,
    /// How many requests were not measured.
    pub(crate) warm_up: u64,
    /// How many measured requests had no answer when the measurement was given up.
    pub(crate) unanswered: u64,
    /// How many requests of an open loop were to be sent, and were not when the measurement was over.
    pub(crate) unsent: u64,
    /// How long the first of those had waited by then.
    pub(crate) waited: Duration,
    /// When the last measured request ended.
    pub(crate) last: Option<Instant>,
}

impl Default for Record {
    fn default() -> Record {
        Record {
            latencies: latencies(),
            first: None,
            responses: 0,
            errors: BTreeMap::new(),
            warm_up: 0,
            unanswered: 0,
            unsent: 0,
            waited: Duration::ZERO,
            last: None,
        }
    }
}

impl Record {
    /// Adds a request that began, or was to begin, at `begin`.
    pub(crate) fn add(
        &mut self,
        is_measured: bool,
        begin: Instant,
        end: Instant,
        outcome: Result<Reply, &Fault>,
    ) {
        if !is_measured {
            self.warm_up += 1;
            return;
        }
        self.last = self.last.max(Some(end));
        match outcome {
            Ok(reply) => {
                self.latencies.saturating_record(nanos(begin, end));
                self.responses += u64::from(reply.responses);
                if let Some(first) = reply.first {
                    self.first.get_or_insert_with(latencies).saturating_record(nanos(begin, first));
                }
            }
            Err(fault) => self.fail(fault.text(), 1),
        }
    }

    /// Counts requests that were not sent, the first of which had waited so long.
    pub(crate) fn not_sent(&mut self, count: u64, waited: Duration) {
        self.unsent += count;
        self.waited = self.waited.max(waited);
    }

    fn fail(&mut self, text: &str, count: u64) {
        let text =
            if self.errors.len() < MAX_TEXTS || self.errors.contains_key(text) { text } else { "others" };
        *self.errors.entry(text.to_owned()).or_default() += count;
    }

    /// The number of measured requests that were answered.
    pub(crate) fn answered(&self) -> u64 {
        self.latencies.len()
    }

    /// The number of measured requests that failed or were not answered.
    pub(crate) fn failed(&self) -> u64 {
        self.errors.values().sum::<u64>() + self.unanswered
    }

    /// Adds what another thread has recorded.
    pub(crate) fn merge(&mut self, other: &Record) {
        // All histograms have the same bounds.
        let _ = self.latencies.add(&other.latencies);
        if let Some(first) = &other.first {
            let _ = self.first.get_or_insert_with(latencies).add(first);
        }
        self.responses += other.responses;
        self.warm_up += other.warm_up;
        self.unanswered += other.unanswered;
        self.not_sent(other.unsent, other.waited);
        self.last = self.last.max(other.last);
        for (text, count) in &other.errors {
            self.fail(text, *count);
        }
    }
}

fn nanos(begin: Instant, end: Instant) -> u64 {
    u64::try_from(end.saturating_duration_since(begin).as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
