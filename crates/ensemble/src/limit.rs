//! `max_inflight_requests`: limits the requests of a step that are in flight, over all requests of the ensemble.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// How often a waiting thread checks whether the client is still there, because no event tells it.
const SLICE: Duration = Duration::from_millis(20);

/// The longest wait without any answer to a request of the step. Two ensembles that run the same models in opposite
/// order may wait for each other's instances; this breaks the deadlock.
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
    /// The number of requests answered so far.
    answered: u64,
}

/// The result of [`Limit::enter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Free,
    /// Admitted beyond the limit, after too long a wait.
    Forced,
    /// Not admitted, because nobody waits for the response any more.
    Cancelled,
}

impl Limit {
    pub(crate) fn new(max: usize) -> Limit {
        Limit::with_patience(max, PATIENCE)
    }

    fn with_patience(max: usize, patience: Duration) -> Limit {
        Limit { max, patience, state: Mutex::default(), freed: Condvar::new() }
    }

    /// Waits for admission. Blocks an instance thread of the step before, which is the back pressure. Unless cancelled,
    /// [`Limit::leave`] has to follow.
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
