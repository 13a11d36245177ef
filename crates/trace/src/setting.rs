//! A setting that is in use: what results from the settings, and its counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

use crate::{Level, Resolved, TraceSink};

/// The setting of the server, or of a model that has its own. Each change makes a new one; the old one lives until the last of
/// its traces is finished.
#[derive(Debug)]
pub struct Setting {
    resolved: Resolved,
    /// What is noted; nothing if the settings cannot be used.
    level: Level,
    /// Tells settings apart.
    number: u64,
    /// Requests that were looked at.
    seen: AtomicU64,
    /// Requests that were sampled, and traces that the sink has collected.
    sampled: AtomicU64,
    collected: AtomicU64,
    remaining: AtomicI32,
    sink: Arc<dyn TraceSink>,
}

impl Setting {
    pub(crate) fn new(resolved: Resolved, is_usable: bool, number: u64, sink: Arc<dyn TraceSink>) -> Setting {
        Setting {
            resolved,
            level: if is_usable { resolved.level } else { Level::OFF },
            number,
            seen: AtomicU64::new(0),
            sampled: AtomicU64::new(0),
            collected: AtomicU64::new(0),
            remaining: AtomicI32::new(resolved.count),
            sink,
        }
    }

    /// What is noted of a sampled request.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Which setting it is, among all since the start.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How many traces make a file; 0 for one file.
    pub fn log_frequency(&self) -> u32 {
        self.resolved.log_frequency
    }

    /// Whether it limits how many requests are traced.
    pub fn is_counted(&self) -> bool {
        self.resolved.count >= 0
    }

    /// The settings as clients see them: with what remains of the count.
    pub(crate) fn shown(&self) -> Resolved {
        Resolved { count: self.remaining(), ..self.resolved }
    }

    pub(crate) fn remaining(&self) -> i32 {
        self.remaining.load(Relaxed)
    }

    pub(crate) fn sink(&self) -> &Arc<dyn TraceSink> {
        &self.sink
    }

    /// Whether the request is traced, which is the case for every `rate`-th. A request that is `wanted` is traced whatever
    /// the rate and the count say, and takes from the count only if the rate hits it.
    pub(crate) fn sample(&self, wanted: bool) -> bool {
        // It is counted before it takes from the count, so that whoever finds nothing left finds it counted.
        let is_due = self.is_due();
        if is_due || wanted {
            self.sampled.fetch_add(1, SeqCst);
        }
        if is_due && self.take() || wanted {
            return true;
        }
        if is_due {
            self.sampled.fetch_sub(1, SeqCst);
        }
        false
    }

    /// Whether the rate hits the request.
    fn is_due(&self) -> bool {
        let rate = u64::from(self.resolved.rate);
        rate > 0 && self.remaining() != 0 && (self.seen.fetch_add(1, Relaxed) + 1).is_multiple_of(rate)
    }

    /// Takes one from the count, if there is something left.
    fn take(&self) -> bool {
        let less = |remaining: i32| match remaining {
            0 => None,
            remaining => Some(if remaining > 0 { remaining - 1 } else { remaining }),
        };
        self.remaining.fetch_update(SeqCst, SeqCst, less).is_ok()
    }

    /// Counts a trace that the sink has. True if it is the last one that the count allows.
    pub(crate) fn collect_one(&self) -> bool {
        let collected = self.collected.fetch_add(1, SeqCst) + 1;
        self.remaining.load(SeqCst) == 0 && collected == self.sampled.load(SeqCst)
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        self.sink.release(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NoSink;

    fn setting(rate: u32, count: i32) -> Setting {
        let level = Level { timestamps: true, tensors: false };
        Setting::new(Resolved { level, rate, count, log_frequency: 0 }, true, 1, Arc::new(NoSink))
    }

    #[test]
    fn every_so_many_requests_are_sampled_until_the_count_is_used_up() {
        let third = setting(3, -1);
        let hits: Vec<bool> = (0..7).map(|_| third.sample(false)).collect();
        assert_eq!(hits, [false, false, true, false, false, true, false]);
        let two = setting(1, 2);
        let hits: Vec<bool> = (0..4).map(|_| two.sample(false)).collect();
        assert_eq!((hits, two.shown().count), (vec![true, true, false, false], 0));
        assert!(!two.collect_one() && two.collect_one(), "the last of two");
        assert!((0..9).all(|_| !setting(0, -1).sample(false)));
    }

    #[test]
    fn a_request_that_is_wanted_takes_from_the_count_only_by_chance() {
        let setting = setting(2, 1);
        assert!(setting.sample(true));
        assert_eq!(setting.remaining(), 1);
        assert!(setting.sample(true));
        assert_eq!(setting.remaining(), 0);
        assert!(setting.sample(true) && !setting.sample(false));
    }
}
