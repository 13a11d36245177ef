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
    /// No request begins any more, but for those that wait for a time before; those under way are awaited.
    Draining,
    /// Nothing is awaited any more.
    Abandoned,
}

/// What becomes of a request that is to begin now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    WarmUp,
    Measured,
    /// It was to be sent during the warm-up, which is over: it is left out, as those of the measurement come first.
    LeftOut,
    /// No request begins any more.
    Over,
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

    /// When measuring began and ended, if it was limited by time and has ended.
    pub(crate) fn span(&self) -> Option<(Instant, Instant)> {
        let span = self.from.get().copied().zip(self.to.get().copied());
        span.filter(|_| !self.has_limit)
    }

    /// What becomes of the request that begins now.
    pub(crate) fn begin(&self) -> Begin {
        let phase = self.phase.load(Ordering::Acquire);
        if phase == Phase::WarmUp as u8 {
            Begin::WarmUp
        } else if phase == Phase::Measuring as u8 && self.take() {
            Begin::Measured
        } else {
            Begin::Over
        }
    }

    /// What becomes of a request that was to begin at `time`.
    pub(crate) fn begin_at(&self, time: Instant) -> Begin {
        if self.phase.load(Ordering::Acquire) == Phase::WarmUp as u8 {
            return Begin::WarmUp;
        }
        match self.from.get() {
            Some(from) if time < *from => Begin::LeftOut,
            Some(_) if self.to.get().is_none_or(|to| time < *to) && self.take() => Begin::Measured,
            _ => Begin::Over,
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
        assert_eq!(control.begin(), Begin::Over);
        control.enter(Phase::WarmUp);
        assert_eq!(control.begin(), Begin::WarmUp);
        control.enter(Phase::Measuring);
        assert_eq!(control.begin(), Begin::Measured);
        control.enter(Phase::Draining);
        assert_eq!(control.begin(), Begin::Over);
        control.enter(Phase::Measuring);
        assert_eq!(control.begin(), Begin::Over, "a phase does not come back");
    }

    #[test]
    fn a_limited_number_of_requests_is_measured() {
        let control = Control::new(Some(2));
        control.enter(Phase::WarmUp);
        assert_eq!(control.begin(), Begin::WarmUp);
        control.enter(Phase::Measuring);
        let began: Vec<_> = (0..4).map(|_| control.begin()).collect();
        assert_eq!(began, [Begin::Measured, Begin::Measured, Begin::Over, Begin::Over]);
    }

    #[test]
    fn requests_count_by_the_time_at_which_they_were_to_begin() {
        let control = Control::new(None);
        control.enter(Phase::WarmUp);
        let before = Instant::now();
        assert_eq!(control.begin_at(before), Begin::WarmUp);
        control.enter(Phase::Measuring);
        assert_eq!(control.begin_at(before), Begin::LeftOut, "late, of the warm-up");
        let meanwhile = Instant::now();
        assert_eq!(control.begin_at(meanwhile), Begin::Measured);
        control.enter(Phase::Draining);
        assert_eq!(control.begin_at(meanwhile), Begin::Measured, "late, but measured");
        assert_eq!(
            control.begin_at(before),
            Begin::LeftOut,
            "so that its worker gets to those that are measured"
        );
        assert_eq!(control.begin_at(Instant::now() + Duration::from_secs(1)), Begin::Over);
        assert!(control.span().is_some());
    }

    #[test]
    fn nothing_begins_after_a_warm_up_that_is_not_followed_by_a_measurement() {
        let control = Control::new(None);
        control.enter(Phase::WarmUp);
        let before = Instant::now();
        control.enter(Phase::Draining);
        assert_eq!([control.begin_at(before), control.begin_at(Instant::now())], [Begin::Over; 2]);
        assert_eq!(control.span(), None);
    }

    #[test]
    fn a_limit_ends_the_measurement_of_an_open_loop() {
        let control = Control::new(Some(1));
        control.enter(Phase::WarmUp);
        control.enter(Phase::Measuring);
        assert_eq!(control.begin_at(Instant::now()), Begin::Measured);
        assert_eq!(control.begin_at(Instant::now()), Begin::Over);
        assert_eq!(control.begin(), Begin::Over);
        assert_eq!(control.span(), None, "what was left out was not to be sent");
    }
}
