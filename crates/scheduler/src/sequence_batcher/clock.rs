//! The clock of the sequence batcher.

use std::time::Instant;

/// The system's clock, or one that a test sets.
#[derive(Debug)]
pub(super) enum Clock {
    System,
    #[cfg(test)]
    Set(std::sync::Arc<parking_lot::Mutex<Instant>>),
}

impl Clock {
    pub(super) fn now(&self) -> Instant {
        match self {
            Clock::System => Instant::now(),
            #[cfg(test)]
            Clock::Set(time) => *time.lock(),
        }
    }

    /// Whether time passes by itself.
    pub(super) fn is_system(&self) -> bool {
        matches!(self, Clock::System)
    }
}
