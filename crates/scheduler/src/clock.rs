//! One thread that calls all who have something to do at some time: queues with deadlines, idle sequences.
//!
//! It runs while somebody waits to be called, and a little longer.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Weak;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tracing::error;

use crate::thread_cache;

/// Who is called by the clock.
pub(crate) trait Timed: Send + Sync {
    /// Does what is due, without blocking. `at` is the time for which the call was asked. Returns when the next call
    /// has to come.
    fn called(&self, at: Instant) -> Option<Instant>;
}

struct Call {
    at: Instant,
    /// Tells calls of the same time apart.
    serial: u64,
    who: Weak<dyn Timed>,
}

#[derive(Default)]
struct State {
    calls: BinaryHeap<Reverse<Call>>,
    serial: u64,
    is_running: bool,
}

static STATE: Mutex<State> = Mutex::new(State { calls: BinaryHeap::new(), serial: 0, is_running: false });

/// Signals that there is an earlier call than the one that the thread waits for.
static EARLIER: Condvar = Condvar::new();

/// How long the thread stays when nobody waits to be called.
const IDLE_TIME: Duration = Duration::from_secs(2);

/// Has `who` called at that time, unless it is gone by then.
pub(crate) fn call_at(at: Instant, who: Weak<dyn Timed>) {
    let mut state = STATE.lock();
    let is_first = state.calls.peek().is_none_or(|Reverse(first)| at < first.at);
    state.add(at, who);
    let starts = !std::mem::replace(&mut state.is_running, true);
    drop(state);
    if starts {
        thread_cache::run_or_wait("clock".into(), run);
    } else if is_first {
        EARLIER.notify_one();
    }
}

impl State {
    fn add(&mut self, at: Instant, who: Weak<dyn Timed>) {
        self.serial += 1;
        self.calls.push(Reverse(Call { at, serial: self.serial, who }));
    }
}

fn run() {
    let mut state = STATE.lock();
    loop {
        match state.calls.peek().map(|Reverse(first)| first.at) {
            None => {
                let waited = EARLIER.wait_for(&mut state, IDLE_TIME);
                if waited.timed_out() && state.calls.is_empty() {
                    state.is_running = false;
                    return;
                }
            }
            Some(at) if at > Instant::now() => drop(EARLIER.wait_until(&mut state, at)),
            Some(_) => {
                let Some(Reverse(call)) = state.calls.pop() else { continue };
                let next = MutexGuard::unlocked(&mut state, || called(&call));
                if let Some(next) = next {
                    state.add(next, call.who);
                }
            }
        }
    }
}

/// Calls who is due. A panic ends none of the others' calls.
fn called(call: &Call) -> Option<Instant> {
    let who = call.who.upgrade()?;
    catch_unwind(AssertUnwindSafe(|| who.called(call.at))).unwrap_or_else(|_| {
        error!("what was due at some time panicked, and is not called again before it asks");
        None
    })
}

impl PartialEq for Call {
    fn eq(&self, other: &Call) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Call {}

impl PartialOrd for Call {
    fn partial_cmp(&self, other: &Call) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Call {
    fn cmp(&self, other: &Call) -> std::cmp::Ordering {
        (self.at, self.serial).cmp(&(other.at, other.serial))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::sync::{Arc, Weak};

    use super::*;

    struct Tells {
        calls: Sender<Instant>,
        /// Each call is followed by one so much later, so many times.
        again: Mutex<(u32, Duration)>,
    }

    impl Timed for Tells {
        fn called(&self, at: Instant) -> Option<Instant> {
            assert!(Instant::now() >= at);
            self.calls.send(at).unwrap();
            let (left, later) = &mut *self.again.lock();
            *left = left.checked_sub(1)?;
            Some(at + *later)
        }
    }

    fn tells(calls: &Sender<Instant>, again: u32) -> Arc<dyn Timed> {
        Arc::new(Tells { calls: calls.clone(), again: Mutex::new((again, Duration::from_millis(1))) })
    }

    #[test]
    fn calls_come_in_the_order_of_their_times() {
        let (sender, calls) = channel();
        let who = tells(&sender, 0);
        let now = Instant::now();
        let times = [30, 10, 20, 10].map(|ms| now + Duration::from_millis(ms));
        for at in times {
            call_at(at, Arc::downgrade(&who));
        }
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        assert_eq!(calls.iter().take(4).collect::<Vec<_>>(), sorted);
    }

    #[test]
    fn who_panics_does_not_keep_others_from_being_called() {
        struct Panics;
        impl Timed for Panics {
            fn called(&self, _: Instant) -> Option<Instant> {
                panic!("told to")
            }
        }
        let (sender, calls) = channel();
        let (panics, who): (Arc<dyn Timed>, _) = (Arc::new(Panics), tells(&sender, 0));
        let now = Instant::now();
        call_at(now, Arc::downgrade(&panics));
        call_at(now + Duration::from_millis(1), Arc::downgrade(&who));
        assert_eq!(calls.recv(), Ok(now + Duration::from_millis(1)));
    }

    #[test]
    fn who_wants_to_be_called_again_is_and_who_is_gone_is_not() {
        let (sender, calls) = channel();
        let (who, gone) = (tells(&sender, 3), tells(&sender, 0));
        let now = Instant::now();
        call_at(now, Arc::downgrade(&gone));
        assert_eq!(calls.recv().unwrap(), now);
        let gone: Weak<dyn Timed> = {
            let weak = Arc::downgrade(&gone);
            drop(gone);
            weak
        };
        call_at(now, gone);
        call_at(now, Arc::downgrade(&who));
        let times: Vec<_> = calls.iter().take(4).collect();
        assert_eq!(times, [0, 1, 2, 3].map(|ms| now + Duration::from_millis(ms)));
    }
}
