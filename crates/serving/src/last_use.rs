//! When a model was used last, for whoever evicts the least recently used.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// When a request found a model last, in nanoseconds since the first look at the clock of this module.
#[derive(Debug)]
pub struct LastUse(AtomicU64);

impl LastUse {
    /// What was just made is no older than what was just used.
    pub fn now() -> LastUse {
        LastUse(AtomicU64::new(nanoseconds()))
    }

    /// Sets the time to now.
    pub fn touch(&self) {
        self.0.store(nanoseconds(), Ordering::Relaxed);
    }

    /// The time, in nanoseconds.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Since the first call.
fn nanoseconds() -> u64 {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(BEGIN.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
