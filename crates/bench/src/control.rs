//! What the threads of a measurement are told: when it begins, and when it is over.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::watch;

/// Where a measurement is. The phases follow each other in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    Connecting,
    WarmUp,
    Measuring,
    /// No request begins any more, but for those whose time was before; those under way are awaited.
    Draining,
    /// Nothing is awaited any more.
    Abandoned,
}

/// Shared by all threads of a measurement.
#[derive(Debug)]
pub(crate) struct Control {
    /// The phase, for the path of requests.
    phase: AtomicU8,
    /// The phase, to wait for.
    phases: watch::Sender<Phase>,
    /// When the phase of measuring began.
    from: OnceLock<Instant>,
    /// When it ended.
    to: OnceLock<Instant>,
    /// How many requests may still be measured.
    left: AtomicI64,
    has_limit: bool,
    gave_up: Mutex<Option<String>>,
}

impl Control {
    /// `requests` is how many are measured, if that is limited.
    pub(crate) fn new(requests: Option<u64>) -> Control {
        Control {
            phase: AtomicU8::new(Phase::Connecting as u8),
            phases: watch::Sender::new(Phase::Connecting),
            from: OnceLock::new(),
            to: OnceLock::new(),
            left: AtomicI64::new(requests.map_or(i64::MAX, u64::cast_signed)),
            has_limit: requests.is_some(),
            gave_up: Mutex::new(None),
        }
    }

    /// Enters a phase, unless a later one has begun.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phases.send_if_modified(|current| {
            let is_later = phase > *current;
            if is_later {
                *current = phase;
                let time = if phase == Phase::Measuring { &self.from } else { &self.to };
                if phase >= Phase::Measuring {
                    time.get_or_init(Instant::now);
                }
                self.phase.store(phase as u8, Ordering::Release);
            }
            is_later
        });
    }

    /// Waits until `phase` or a later one has begun.
    pub(crate) async fn entered(&self, phase: Phase) {
        // The sender is part of self, so that it cannot be gone.
        drop(self.phases.subscribe().wait_for(|current| *current >= phase).await);
    }

    /// When measuring ended, if it was limited by time and has ended.
    pub(crate) fn end(&self) -> Option<Instant> {
        self.to.get().copied().filter(|_| !self.has_limit)
    }

    /// Whether the request that begins now is measured; `None` if none may begin.
    pub(crate) fn begin(&self) -> Option<bool> {
        let phase = self.phase.load(Ordering::Acquire);
        if phase == Phase::WarmUp as u8 {
            return Some(false);
        }
        (phase == Phase::Measuring as u8 && self.take()).then_some(true)
    }

    /// Whether a request that was to begin at `time` is measured; `None` if it may not begin any more.
    pub(crate) fn begin_at(&self, time: Instant) -> Option<bool> {
        let phase = self.phase.load(Ordering::Acquire);
        if phase == Phase::WarmUp as u8 {
            return Some(false);
        }
        let is_measured = self.from.get().is_some_and(|from| time >= *from);
        let is_late = self.to.get().is_some_and(|to| time >= *to);
        match (is_measured, phase == Phase::Measuring as u8) {
            (false, true) => Some(false),
            (false, false) => None,
            (true, _) => (!is_late && self.take()).then_some(true),
        }
    }

    /// Counts a request that is measured; false if there are enough.
    fn take(&self) -> bool {
        if !self.has_limit {
            return true;
        }
        let has_room = self.left.fetch_sub(1, Ordering::Relaxed) > 0;
        if !has_room {
            self.enter(Phase::Draining);
        }
        has_room
    }

    /// Ends the measurement because no request can be sent any more.
    pub(crate) fn give_up(&self, why: &str) {
        self.gave_up.lock().get_or_insert_with(|| why.to_owned());
        self.enter(Phase::Draining);
    }

    pub(crate) fn gave_up(&self) -> Option<String> {
        self.gave_up.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn requests_are_measured_between_warm_up_and_drain() {
        let control = Control::new(None);
        assert_eq!(control.begin(), None);
        control.enter(Phase::WarmUp);
        assert_eq!(control.begin(), Some(false));
        control.enter(Phase::Measuring);
        assert_eq!(control.begin(), Some(true));
        control.enter(Phase::Draining);
        assert_eq!(control.begin(), None);
        control.enter(Phase::Measuring);
        assert_eq!(control.begin(), None, "a phase does not come back");
    }

    #[test]
    fn a_limited_number_of_requests_is_measured() {
        let control = Control::new(Some(2));
        control.enter(Phase::WarmUp);
        assert_eq!(control.begin(), Some(false));
        control.enter(Phase::Measuring);
        let began: Vec<_> = (0..4).map(|_| control.begin()).collect();
        assert_eq!(began, [Some(true), Some(true), None, None]);
    }

    #[test]
    fn requests_count_by_the_time_at_which_they_were_to_begin() {
        let control = Control::new(None);
        control.enter(Phase::WarmUp);
        let before = Instant::now();
        assert_eq!(control.begin_at(before), Some(false));
        control.enter(Phase::Measuring);
        assert_eq!(control.begin_at(before), Some(false), "late, of the warm-up");
        let meanwhile = Instant::now();
        assert_eq!(control.begin_at(meanwhile), Some(true));
        control.enter(Phase::Draining);
        assert_eq!(control.begin_at(meanwhile), Some(true), "late, but measured");
        assert_eq!(control.begin_at(before), None);
        assert_eq!(control.begin_at(Instant::now() + Duration::from_secs(1)), None);
        assert!(control.end().is_some());
    }

    #[test]
    fn a_limit_ends_the_measurement_of_an_open_loop() {
        let control = Control::new(Some(1));
        control.enter(Phase::WarmUp);
        control.enter(Phase::Measuring);
        assert_eq!(control.begin_at(Instant::now()), Some(true));
        assert_eq!(control.begin_at(Instant::now()), None);
        assert_eq!(control.begin(), None);
        assert_eq!(control.end(), None, "what was left out was not to be sent");
    }
}
