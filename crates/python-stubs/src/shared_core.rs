//! The main thread of a stub and the thread that waits for it, on one core where that makes executions shorter.
//!
//! The two take turns: one wakes the other and goes to sleep. On two cores each turn is an interrupt, and wakes a core that may sleep;
//! on one it is a switch. Yet the system gives a thread that is woken an idle core if there is one. So the two are bound to one
//! core as long as that is measured to be [better](decision), by whole executions, and no longer.
//!
//! Threads that a model starts begin with the cores of its main thread. So they are looked for, and given back all cores together with
//! it; a model that starts one is left alone for long. Nothing is bound while an execution takes long, or while there are none: a
//! [thread](watch) sees to that.

mod bound;
mod decision;
mod watch;

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use bound::Binding;
use bound::Bound;
use decision::{Decision, Step};
use tracing::debug;

use crate::Stub;

/// What counts at most of the time between two executions: more passes when there is no request.
const LONGEST_GAP: Duration = Duration::from_micros(50);

/// An execution of this length says that the model may compute for long.
const LONG: Duration = Duration::from_millis(10);

/// After how many executions the threads of a stub are counted.
const COUNTED: u32 = 16;

thread_local! {
    /// The stub that an execution on this thread waits for, while both share a core.
    static EXECUTING: RefCell<Option<Arc<Bound>>> = const { RefCell::new(None) };
}

/// To be called when the thread is about to wake the stub that it executes on.
pub fn wakes_stub() {
    with_executing(Bound::wakes);
}

/// To be called when the thread is about to wait for the stub that it has woken.
pub fn waits_for_stub() {
    with_executing(Bound::waits);
}

fn with_executing(act: impl FnOnce(&Bound)) {
    // Threads that end wait as well.
    let _ = EXECUTING.try_with(|executing| {
        if let Ok(executing) = executing.try_borrow()
            && let Some(bound) = &*executing
        {
            act(bound);
        }
    });
}

/// The stub of an instance, as its executions find it. For the one thread that executes the instance.
pub struct SharedCore {
    stub: Arc<Stub>,
    binding: Binding,
    decision: Decision,
    bound: Option<Arc<Bound>>,
    /// How many threads the stub had when it was bound.
    threads: Option<u64>,
    until_counted: u32,
    ended: Option<Instant>,
    /// Tests that are not about time do without the thread.
    is_watched: bool,
}

impl SharedCore {
    /// Of a stub that the calling thread waits for.
    pub fn new(stub: Arc<Stub>, binding: Binding) -> SharedCore {
        debug!(pid = stub.pid(), ?binding, "the stub may share a core with the thread that waits for it");
        SharedCore {
            stub,
            binding,
            decision: Decision::default(),
            bound: None,
            threads: None,
            until_counted: COUNTED,
            ended: None,
            is_watched: true,
        }
    }

    /// Executes, and learns from how long it took.
    pub fn execute<T>(&mut self, execute: impl FnOnce() -> T) -> T {
        if let Some(bound) = &self.bound {
            bound.begins();
            EXECUTING.set(Some(Arc::clone(bound)));
        }
        let began = Instant::now();
        let result = execute();
        let ended = Instant::now();
        if self.bound.is_some() {
            EXECUTING.set(None);
        }
        let gap = self.ended.map_or(Duration::ZERO, |before| began.saturating_duration_since(before));
        self.ended = Some(ended);
        let took = ended.saturating_duration_since(began);
        self.learn(took, gap);
        result
    }

    fn learn(&mut self, took: Duration, gap: Duration) {
        let is_parted = self.bound.as_ref().is_some_and(|bound| !bound.ends());
        if is_parted || (self.bound.is_some() && took >= LONG) {
            self.part();
            // Where there was nothing to do for a while, that says nothing of the model.
            if gap < watch::IDLE { self.decision.parted() } else { self.decision.rested() }
        }
        self.until_counted -= 1;
        if self.until_counted == 0 {
            self.until_counted = COUNTED;
            self.count_threads();
        }
        let counts = took + gap.min(LONGEST_GAP);
        match self.decision.note(u64::try_from(counts.as_nanos()).unwrap_or(u64::MAX)) {
            Step::Nothing => {}
            Step::Part => self.part(),
            Step::Share => {
                self.threads = bound::threads(&self.stub);
                self.bound = self.threads.and_then(|_| Bound::new(&self.stub, self.binding, self.is_watched));
                if self.bound.is_none() {
                    self.decision.parted();
                }
            }
        }
    }

    /// A thread that has begun while its starter was bound has one core only.
    fn count_threads(&mut self) {
        // What runs with all cores hands on all of them.
        if self.bound.is_none() || self.binding == Binding::AsItWakes {
            return;
        }
        if bound::threads(&self.stub) != self.threads {
            self.part();
            self.decision.parted_for_long();
        }
    }

    fn part(&mut self) {
        if let Some(bound) = self.bound.take() {
            bound.part();
        }
    }

    /// Whether they are bound to one core now.
    #[cfg(test)]
    fn is_shared(&self) -> bool {
        self.bound.is_some()
    }
}

impl Drop for SharedCore {
    fn drop(&mut self) {
        self.part();
    }
}

impl fmt::Debug for SharedCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedCore").field("decision", &self.decision).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
