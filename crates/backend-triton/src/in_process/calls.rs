//! Which calls of a model run.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// The calls of a model that run.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    state: Mutex<State>,
    ended: Condvar,
    /// Calls with lower numbers are cancelled.
    cancelled: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// The number of the next call.
    next: u64,
    running: BTreeSet<u64>,
}

/// A call runs until the last reference is dropped: it lends nothing any more, and its callbacks have returned.
#[derive(Debug)]
pub(crate) struct RunningCall {
    number: u64,
    calls: Arc<Calls>,
}

impl Calls {
    pub(crate) fn begin(calls: &Arc<Calls>) -> Arc<RunningCall> {
        let mut state = calls.state.lock();
        let number = state.next;
        state.next += 1;
        state.running.insert(number);
        Arc::new(RunningCall { number, calls: Arc::clone(calls) })
    }

    /// Waits until all calls that have begun before now have ended, and with `cancel` cancels them. False if that takes
    /// longer.
    pub(crate) fn wait(&self, limit: Duration, cancel: bool) -> bool {
        let until = Instant::now() + limit;
        let mut state = self.state.lock();
        let before = state.next;
        if cancel {
            self.cancelled.fetch_max(before, Ordering::AcqRel);
        }
        while state.running.first().is_some_and(|first| *first < before) {
            if self.ended.wait_until(&mut state, until).timed_out() {
                return state.running.first().is_none_or(|first| *first >= before);
            }
        }
        true
    }
}

impl RunningCall {
    /// Whether nobody needs it any more.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.number < self.calls.cancelled.load(Ordering::Acquire)
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        self.calls.state.lock().running.remove(&self.number);
        self.calls.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_that_have_begun_are_waited_for_and_cancelled() {
        let calls = Arc::new(Calls::default());
        let (first, second) = (Calls::begin(&calls), Calls::begin(&calls));
        assert!(!calls.wait(Duration::ZERO, false) && !first.is_cancelled());
        drop(first);
        assert!(!calls.wait(Duration::ZERO, true) && second.is_cancelled());
        let third = Calls::begin(&calls);
        assert!(!third.is_cancelled());
        let waiting = Arc::clone(&calls);
        let thread = std::thread::spawn(move || waiting.wait(Duration::from_mins(10), false));
        drop((second, third));
        assert!(thread.join().expect("no panic"));
    }
}
