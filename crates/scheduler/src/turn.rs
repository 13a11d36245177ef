//! The thread of an instance, as others see it: whether it executes, and that it was left alone in an execution which never returns.

use std::sync::atomic::{AtomicU8, Ordering};

use hippocamp_backend::Error;
use parking_lot::Mutex;
use tokio::sync::watch;

const IDLE: u8 = 0;
const EXECUTES: u8 = 1;
const LEFT_ALONE: u8 = 2;

/// What an instance's thread does, and what it keeps owners waiting by.
#[derive(Debug)]
pub(crate) struct Turn {
    state: AtomicU8,
    /// Dropped when the instance ends, which tells waiting owners that it has ended.
    alive: Mutex<Option<watch::Sender<()>>>,
    /// Why the instance has to be made anew before it executes; that of a thread before it was lost.
    lost: Mutex<Option<Error>>,
}

impl Turn {
    pub(crate) fn new(alive: watch::Sender<()>) -> Turn {
        Turn { state: AtomicU8::new(IDLE), alive: Mutex::new(Some(alive)), lost: Mutex::default() }
    }

    /// An execution begins on the thread.
    pub(crate) fn begins(&self) {
        self.state.store(EXECUTES, Ordering::Release);
    }

    /// It has returned. False if the thread was left alone meanwhile: the instance is another thread's.
    pub(crate) fn ends(&self) -> bool {
        self.state.compare_exchange(EXECUTES, IDLE, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(crate) fn is_left_alone(&self) -> bool {
        self.state.load(Ordering::Acquire) == LEFT_ALONE
    }

    /// Leaves the thread alone, if it executes, and returns what another thread goes on with. The instance that it has is lost, for
    /// this reason.
    pub(crate) fn leave(&self, lost: Error) -> Option<Turn> {
        self.state.compare_exchange(EXECUTES, LEFT_ALONE, Ordering::AcqRel, Ordering::Acquire).ok()?;
        let alive = self.alive.lock().take();
        Some(Turn { state: AtomicU8::new(IDLE), alive: Mutex::new(alive), lost: Mutex::new(Some(lost)) })
    }

    /// Tells waiting owners that the instance has ended, whoever else still has this.
    pub(crate) fn end(&self) {
        drop(self.alive.lock().take());
    }

    /// Why the instance has to be made anew, asked once.
    pub(crate) fn take_lost(&self) -> Option<Error> {
        self.lost.lock().take()
    }
}
