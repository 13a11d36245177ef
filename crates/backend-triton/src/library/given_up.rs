//! Waits that are given up. The Python backend waits for its processes by semaphores in shared memory, most of them without a limit. A call that waits for
//! a process that has ended goes on when that is known, and what it has made is taken down by the backend itself.

#![allow(unsafe_code, reason = "waits for the semaphore of a foreign library")]

use std::cell::RefCell;
use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use libc::{c_int, sem_t, timespec};

use super::exceptions::throw;
use super::regions::around;

/// How often a wait looks whether it is given up.
const LOOK_NANOSECONDS: i64 = 20_000_000;
const SECOND: i64 = 1_000_000_000;

/// What a wait says that is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing: the function that waits is left by an exception. An error would do no good, as the backend tries again then.
    Throws,
    /// That it was woken: where an exception would end the process, and nothing is made of what is read then.
    Woken,
}

/// The waits of a call, which may be given up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waits(Arc<State>);

#[derive(Debug, Default)]
struct State {
    are_given_up: AtomicBool,
    /// The region with the semaphore of the one that was.
    region: OnceLock<String>,
}

thread_local! {
    /// Those of the one call that the thread makes.
    static OF_THREAD: RefCell<Option<(Waits, Answer)>> = const { RefCell::new(None) };
}

impl Waits {
    /// From now on the calling thread makes one call, and nothing else.
    pub(crate) fn are_of_this_thread(&self, answer: Answer) {
        OF_THREAD.set(Some((self.clone(), answer)));
    }

    /// Gives up each wait that nobody ends.
    pub(crate) fn give_up(&self) {
        self.0.are_given_up.store(true, Ordering::Release);
    }

    fn are_given_up(&self) -> bool {
        self.0.are_given_up.load(Ordering::Acquire)
    }

    /// The region with the semaphore that was waited for, once a wait is given up.
    pub(crate) fn region(&self) -> Option<String> {
        self.0.region.get().cloned()
    }
}

/// Waits for a semaphore on behalf of the backend.
pub(super) fn wait(semaphore: *mut sem_t) -> c_int {
    // Threads that end wait as well.
    let waits = OF_THREAD.try_with(|waits| waits.try_borrow().ok()?.clone()).ok().flatten();
    let Some((waits, answer)) = waits else {
        // SAFETY: the caller keeps the rules of the function that it meant to call.
        return unsafe { libc::sem_wait(semaphore) };
    };
    // What is there is taken in any case.
    // SAFETY: as above.
    while unsafe { libc::sem_trywait(semaphore) } != 0 {
        if waits.are_given_up() {
            if let Some(region) = around(semaphore.expose_provenance()) {
                waits.0.region.get_or_init(|| region);
            }
            return match answer {
                Answer::Woken => 0,
                Answer::Throws => {
                    throw();
                    -1
                }
            };
        }
        let until = soon();
        // SAFETY: as above.
        if unsafe { libc::sem_timedwait(semaphore, &raw const until) } == 0 {
            return 0;
        }
        let error = Error::last_os_error();
        if !matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted) {
            return -1;
        }
    }
    0
}

/// By the clock that semaphores have. Should it be set back meanwhile, the wait looks later, and is woken as ever.
fn soon() -> timespec {
    let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is written to the place that is given.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut now) };
    now.tv_nsec += LOOK_NANOSECONDS;
    if now.tv_nsec >= SECOND {
        now.tv_nsec -= SECOND;
        now.tv_sec += 1;
    }
    now
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;
    use std::thread;

    use hippocamp_backend::Result;

    use super::super::exceptions::caught;
    use super::*;

    /// Waits on a thread of its own for a semaphore that was posted so often, and says how it went each time.
    fn waited(posted: u32, answer: Answer, waits: &Waits) -> thread::JoinHandle<Vec<Result<c_int>>> {
        let waits = waits.clone();
        thread::spawn(move || {
            let mut semaphore = MaybeUninit::<sem_t>::uninit();
            // SAFETY: the place stays until this returns.
            assert_eq!(unsafe { libc::sem_init(semaphore.as_mut_ptr(), 0, posted) }, 0);
            waits.are_of_this_thread(answer);
            (0..=posted).map(|_| caught(|| Ok(wait(semaphore.as_mut_ptr())))).collect()
        })
    }

    #[test]
    fn what_is_posted_is_taken_and_only_what_never_comes_is_given_up() {
        for (answer, expected) in [(Answer::Throws, None), (Answer::Woken, Some(0))] {
            let waits = Waits::default();
            waits.give_up();
            let all = waited(2, answer, &waits).join().unwrap();
            let all: Vec<_> = all.into_iter().map(Result::ok).collect();
            assert_eq!(all, [Some(0), Some(0), expected]);
        }
    }

    #[test]
    fn a_wait_is_given_up_while_it_lasts() {
        let waits = Waits::default();
        let waiting = waited(0, Answer::Throws, &waits);
        waits.give_up();
        let told = waiting.join().unwrap().remove(0).unwrap_err();
        assert!(told.message().ends_with("a wait that was given up"), "{told:?}");
    }
}
