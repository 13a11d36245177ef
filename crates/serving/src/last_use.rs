//! The time of a model's last use, for the eviction of the least recently used models.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The time of the last request that found a model, in nanoseconds since this module's clock was first read.
#[derive(Debug)]
pub struct LastUse(AtomicU64);

impl LastUse {
    /// A value set to the current time, so that a new model does not count as long unused.
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

/// The nanoseconds since the first call of this function.
fn nanoseconds() -> u64 {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(BEGIN.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
