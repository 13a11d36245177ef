//! `max_inflight_requests`: how many requests of a step may be in flight, over all requests of the ensemble.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// How often somebody who waits looks whether the client is still there: it hangs up without a word.
const SLICE: Duration = Duration::from_millis(20);

/// How long the wait goes on without any request of the step being answered. Two ensembles may run the same models in
/// opposite order; then their instances can wait for each other, and one of them has to go on.
const PATIENCE: Duration = Duration::from_secs(10);

/// The limit of one step.
#[derive(Debug)]
pub(crate) struct Limit {
    max: usize,
    patience: Duration,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    in_flight: usize,
    /// How many were answered so far.
    answered: u64,
}

/// How waiting for a place ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Free,
    /// Let in beyond the limit.
    Forced,
    /// Not let in: nobody waits for the answer any more.
    Cancelled,
}

impl Limit {
    pub(crate) fn new(max: usize) -> Limit {
        Limit::with_patience(max, PATIENCE)
    }

    fn with_patience(max: usize, patience: Duration) -> Limit {
        Limit { max, patience, state: Mutex::default(), freed: Condvar::new() }
    }

    /// Waits for a place, on the thread of an instance of the step before, which thereby produces no more. Unless it was
    /// cancelled, [`Limit::leave`] has to follow.
    pub(crate) fn enter(&self, cancelled: impl Fn() -> bool) -> Entry {
        let mut state = self.state.lock();
        let mut answered = state.answered;
        let mut patient_until = None;
        while state.in_flight >= self.max {
            if cancelled() {
                return Entry::Cancelled;
            }
            let now = Instant::now();
            if answered != state.answered {
                answered = state.answered;
                patient_until = None;
            }
            if now >= *patient_until.get_or_insert(now + self.patience) {
                state.in_flight += 1;
                return Entry::Forced;
            }
            self.freed.wait_for(&mut state, SLICE);
        }
        state.in_flight += 1;
        Entry::Free
    }

    pub(crate) fn leave(&self) {
        let mut state = self.state.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        state.answered += 1;
        drop(state);
        self.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn holds_back_until_a_place_is_free() {
        let limit = Limit::new(1);
        assert_eq!(limit.enter(|| false), Entry::Free);
        let left = AtomicBool::new(false);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let entry = limit.enter(|| false);
                (entry, left.load(Ordering::SeqCst))
            });
            left.store(true, Ordering::SeqCst);
            limit.leave();
            assert_eq!(waiting.join().unwrap(), (Entry::Free, true));
        });
    }

    #[test]
    fn does_not_wait_for_a_client_that_is_gone() {
        let limit = Limit::new(1);
        assert_eq!(limit.enter(|| true), Entry::Free, "there is a place: no reason to ask");
        assert_eq!(limit.enter(|| true), Entry::Cancelled);
        limit.leave();
        assert_eq!(limit.enter(|| true), Entry::Free);
    }

    #[test]
    fn goes_on_when_nothing_moves() {
        let limit = Limit::with_patience(1, Duration::ZERO);
        assert_eq!(limit.enter(|| false), Entry::Free);
        assert_eq!(limit.enter(|| false), Entry::Forced);
    }
}
