//! The calls of the Python backend that were left alone. Each keeps a thread and what its instance has, so that so many may not
//! come in quick succession; but a server is never without Python models for good.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hippocamp_backend::{Error, Result};
use parking_lot::Mutex;
use tracing::warn;

/// So many calls may be left alone within [`WINDOW`]; then no process of a Python model is started until the first of them is as old.
const MOST: usize = 64;
const WINDOW: Duration = Duration::from_mins(10);

static COUNT: AtomicUsize = AtomicUsize::new(0);
static LAST: Mutex<Last> = Mutex::new(Last(VecDeque::new()));

/// When the last ones were left.
#[derive(Debug)]
struct Last(VecDeque<Instant>);

impl Last {
    fn note(&mut self, now: Instant) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(now);
    }

    fn forget(&mut self) {
        self.0.pop_back();
    }

    /// How long no further one may be; `None` if one may.
    fn pause(&self, now: Instant) -> Option<Duration> {
        let first = self.0.front().filter(|_| self.0.len() == MOST)?;
        let left = WINDOW.checked_sub(now.saturating_duration_since(*first))?;
        (!left.is_zero()).then_some(left)
    }
}

/// How many calls have not returned though what they wait for has ended.
pub(crate) fn left_alone() -> usize {
    COUNT.load(Ordering::Relaxed)
}

/// Counts a call, whose thread was left alone. Returns how many there are now.
pub(super) fn leave() -> usize {
    LAST.lock().note(Instant::now());
    COUNT.fetch_add(1, Ordering::Relaxed) + 1
}

/// Counts it no more.
pub(super) fn is_back() {
    LAST.lock().forget();
    COUNT.fetch_sub(1, Ordering::Relaxed);
}

/// The same of one that has returned after all.
pub(super) fn returned(what: &str, name: &str) {
    is_back();
    warn!(instance = name, "{what} of the Python backend returned late");
}

/// Fails if so many calls have been left alone that no further one may be now.
pub(super) fn check() -> Result<()> {
    let Some(pause) = LAST.lock().pause(Instant::now()) else { return Ok(()) };
    Err(Error::unavailable(format!(
        "{MOST} calls of the Python backend have not returned within {} minutes, as their processes have ended: further ones are \
         started in {} s; look into the log for what ends the processes",
        WINDOW.as_secs() / 60,
        pause.as_secs() + 1
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_within_a_time_are_too_many_until_the_first_is_old() {
        let (start, mut last) = (Instant::now(), Last(VecDeque::new()));
        let (most, window) = (MOST as u64, WINDOW.as_secs());
        let at = |second| start + Duration::from_secs(second);
        for second in 0..most {
            assert_eq!(last.pause(at(second)), None);
            last.note(at(second));
        }
        assert_eq!(last.pause(at(most)), Some(Duration::from_secs(window - most)));
        assert_eq!(last.pause(at(window)), None);
        // The second one counts from now on.
        last.note(at(window));
        assert_eq!(last.pause(at(window)), Some(Duration::from_secs(1)));
        assert_eq!(last.pause(at(window + 1)), None);
        last.forget();
        assert_eq!(last.pause(at(window)), None);
    }
}
