//! When a request found a model last.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// When a request found a model last.
#[derive(Debug)]
pub(crate) struct LastUse(AtomicU64);

impl LastUse {
    /// What was just made is no older than what was just used.
    pub(crate) fn now() -> LastUse {
        LastUse(AtomicU64::new(nanoseconds()))
    }

    pub(crate) fn touch(&self) {
        self.0.store(nanoseconds(), Ordering::Relaxed);
    }

    /// Nanoseconds on a clock that begins with the process.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Since the first call.
fn nanoseconds() -> u64 {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(BEGIN.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
