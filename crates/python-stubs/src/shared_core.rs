//! The main thread of a stub and the thread that waits for it, on one core where that makes executions shorter.
//!
//! The two take turns: one wakes the other and goes to sleep. On two cores each turn is an interrupt, and wakes a core that may sleep;
//! on one it is a switch. Yet the system gives a thread that is woken an idle core if there is one. So the two are bound to one
//! core as long as that is measured to be [better](decision), by whole executions, and no longer.
//!
//! Threads that a model starts begin with the cores of its main thread. So they are looked for, and given back all cores together with
//! it; a model that starts one, or a process, is left alone for long. Nothing is bound while an execution takes long, or while there are
//! none: a [thread](watch) sees to that.

mod bound;
mod decision;
mod descent;
mod load;
mod watch;

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use bound::Binding;
use bound::{After, Bound};
use decision::Step;
use load::Decisions;
use tracing::debug;

use crate::{AwaitedEnd, Stub};

/// What counts at most of the time between two executions: more passes when there is no request.
const LONGEST_GAP: Duration = Duration::from_micros(50);

/// An execution of this length says that the model may compute for long.
const LONG: Duration = Duration::from_millis(10);

/// An execution in which the stub may have seen the one core is one in so many at most, or they are parted; so many in a row are allowed.
/// It happens where others want the core.
const RARELY: u32 = 64;
const IN_A_ROW: u32 = 16;

/// After how many executions the threads of a stub are counted.
const COUNTED: u32 = 16;

thread_local! {
    /// The stub that an execution on this thread waits for, while both share a core.
    static EXECUTING: RefCell<Option<Arc<Bound>>> = const { RefCell::new(None) };
}

/// Wakes the stub that the thread executes on, by what is given.
pub fn wakes_stub<T>(wake: impl FnOnce() -> T) -> T {
    // Threads that end wake others as well.
    let executing =
        EXECUTING.try_with(|executing| executing.try_borrow().ok().and_then(|bound| bound.clone()));
    match executing {
        Ok(Some(bound)) => bound.wakes(wake),
        _ => wake(),
    }
}

/// The stub of an instance, as its executions find it. For the one thread that executes the instance.
pub struct SharedCore {
    stub: Arc<Stub>,
    binding: Binding,
    decisions: Decisions,
    bound: Option<Arc<Bound>>,
    /// How many threads the stub had when it was bound.
    threads: Option<u64>,
    until_counted: u32,
    /// How often the stub may have seen one core: [`RARELY`] for each time, less 1 for each execution.
    late: u32,
    ended: Option<Instant>,
    stub_ended: Arc<AtomicBool>,
    /// Sets that.
    _awaited: AwaitedEnd,
    /// Tests that are not about time do without the thread.
    is_watched: bool,
}

impl SharedCore {
    /// Of a stub that the calling thread waits for.
    pub fn new(stub: Arc<Stub>, binding: Binding) -> SharedCore {
        debug!(pid = stub.pid(), ?binding, "the stub may share a core with the thread that waits for it");
        let stub_ended = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stub_ended);
        let awaited = stub.when_ended(Duration::ZERO, move || ended.store(true, Ordering::Release));
        SharedCore {
            stub,
            binding,
            decisions: Decisions::default(),
            bound: None,
            threads: None,
            until_counted: COUNTED,
            late: 0,
            ended: None,
            stub_ended,
            _awaited: awaited,
            is_watched: true,
        }
    }

    /// Executes a request that has waited so long, and learns from how long it took.
    pub fn execute<T>(&mut self, waited: Duration, execute: impl FnOnce() -> T) -> T {
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
        self.learn(took, gap, waited);
        result
    }

    fn learn(&mut self, took: Duration, gap: Duration, waited: Duration) {
        let after = self.bound.as_ref().map(|bound| bound.ends());
        self.late = self.late.saturating_sub(1) + if after == Some(After::Late) { RARELY } else { 0 };
        let is_too_late = after.is_some() && self.late > RARELY * IN_A_ROW;
        if is_too_late || after == Some(After::Parted) || (after.is_some() && took >= LONG) {
            self.part();
            // Where there was nothing to do for a while, that says nothing of the model.
            let decision = self.decisions.in_force();
            if gap < watch::IDLE { decision.parted() } else { decision.rested() }
        }
        self.until_counted -= 1;
        if self.until_counted == 0 {
            self.until_counted = COUNTED;
            self.count_threads();
        }
        let counts = took + gap.min(LONGEST_GAP);
        match self.decisions.note(u64::try_from(counts.as_nanos()).unwrap_or(u64::MAX), waited) {
            Step::Nothing => {}
            Step::Part => self.part(),
            Step::Share if self.bound.is_some() => {}
            Step::Share => {
                self.threads = descent::threads(&self.stub);
                let may_be = self.threads.is_some() && !descent::has_children(&self.stub);
                let bound =
                    may_be.then(|| Bound::new(&self.stub, &self.stub_ended, self.binding, self.is_watched));
                self.bound = bound.flatten();
                if self.bound.is_none() {
                    self.decisions.in_force().parted();
                }
            }
        }
    }

    /// A thread that has begun while its starter was bound has one core only; and a model that starts threads or processes is better left
    /// alone, even where its main thread has all cores when it runs.
    fn count_threads(&mut self) {
        if self.bound.is_none() {
            return;
        }
        if descent::threads(&self.stub) != self.threads || descent::has_children(&self.stub) {
            self.part();
            self.decisions.parted_for_long();
        }
    }

    fn part(&mut self) {
        if let Some(bound) = self.bound.take() {
            bound.part();
        }
    }

    /// Whether they are bound to one core now.
    pub fn is_shared(&self) -> bool {
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
        f.debug_struct("SharedCore").field("decisions", &self.decisions).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
