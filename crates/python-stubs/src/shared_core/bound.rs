//! Threads that are bound to one core, until they are parted.
//!
//! The thread that waits is this process's own, and is bound throughout. The stub's need not be: what a model does must not see one
//! core, nor hand it on to what it starts. Where this process is told when its backend [wakes the stub](Bound::wakes), the stub's main
//! thread has the one core just for that, so that it is queued there, and all its cores again at once. For as long it is also scheduled
//! as a batch, since whoever is woken may otherwise run at once.
//!
//! This thread may be interrupted in between, so that the stub runs with the one core. Then that has taken [long](LATE), and what the
//! stub has started meanwhile gets its cores back.

#![allow(unsafe_code, reason = "the policy of a thread is set by the C library only")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use rustix::thread::{CpuSet, gettid, sched_getaffinity, sched_getcpu, sched_setaffinity};
use tracing::debug;

use super::descent::{self, Ticks};
use super::watch;
use crate::Stub;

/// A stub that has had the one core for so long may have run with it. Two microseconds are usual, and less than this is too little to
/// take what it was woken for and to start anything.
const LATE: Duration = Duration::from_micros(20);

/// The cores that are shared by some thread and its stub.
static TAKEN: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// When the main thread of a stub has the core that it shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// All the time.
    Throughout,
    /// While it is woken: this process has to be told of that, by [`wakes_stub`](super::wakes_stub).
    AsItWakes,
}

/// What they are after an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Bound,
    /// Bound, and the stub may have executed with the one core.
    Late,
    Parted,
}

/// The main thread of a stub and the calling thread on one core.
pub(super) struct Bound {
    stub: Arc<Stub>,
    /// Whether the stub has ended, as far as this process was told. Only then may its number be another's.
    ended: Arc<AtomicBool>,
    core: usize,
    binding: Binding,
    /// The two threads, with the cores they had before.
    stubs: (Pid, CpuSet),
    waiting: (Pid, CpuSet),
    /// How many executions have begun and ended: odd during one.
    turns: AtomicU64,
    state: Mutex<State>,
    /// The threads of this process when they were bound.
    before: Vec<i32>,
}

#[derive(Default)]
struct State {
    is_parted: bool,
    /// Whether the stub was not woken yet in this execution.
    is_to_wake: bool,
    /// When the stub may have run with the one core in this execution, and when it first may have since they were bound.
    late: Option<Ticks>,
    first_late: Option<Ticks>,
}

impl Bound {
    /// Binds them. `None` where they may not use several cores, other pairs have the cores, or the system refuses.
    pub(super) fn new(
        stub: &Arc<Stub>,
        ended: &Arc<AtomicBool>,
        binding: Binding,
        is_watched: bool,
    ) -> Option<Arc<Bound>> {
        let main = Pid::from_raw(stub.pid())?;
        let (stubs, own) = (sched_getaffinity(Some(main)).ok()?, sched_getaffinity(None).ok()?);
        let core = take(&stubs, &own)?;
        let bound = Bound {
            stub: Arc::clone(stub),
            ended: Arc::clone(ended),
            core,
            binding,
            stubs: (main, stubs),
            waiting: (gettid(), own),
            turns: AtomicU64::new(0),
            state: Mutex::default(),
            before: descent::tasks(rustix::process::getpid().as_raw_pid()).collect(),
        };
        // What is there of it is dropped, and with that parted.
        let only = bound.only();
        let may_be = match binding {
            Binding::Throughout => sched_setaffinity(Some(main), &only).is_ok(),
            Binding::AsItWakes => is_usual(main),
        };
        let is_bound = stub.is_alive() && may_be && sched_setaffinity(None, &only).is_ok();
        let bound = Arc::new(bound);
        (is_bound && (!is_watched || watch::watch(&bound))).then_some(bound)
    }

    pub(super) fn begins(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
        self.lock().is_to_wake = true;
    }

    /// Wakes the stub for an execution, by what is given.
    pub(super) fn wakes<T>(&self, wake: impl FnOnce() -> T) -> T {
        let mut state = self.lock();
        let is_first = !state.is_parted && std::mem::take(&mut state.is_to_wake);
        let Some(cores) = is_first.then(|| self.lends()).flatten() else {
            drop(state);
            return wake();
        };
        let (main, _) = self.stubs;
        let only = self.only();
        let began = Instant::now();
        let _ = sched_setaffinity(Some(main), &only);
        let woken = wake();
        let _ = sched_setaffinity(Some(main), &cores);
        let took = began.elapsed();
        // Last, as it may run at once.
        set_policy(main, libc::SCHED_OTHER);
        if took >= LATE {
            debug!(stub = self.stub.pid(), ?took, "the stub may have run with one core");
            let since = Ticks::ago(took);
            state.late = Some(since);
            state.first_late.get_or_insert(since);
            self.give_back_all(&cores, Some(since));
        }
        woken
    }

    /// The cores that the stub's main thread gets back after it was woken, if it may be bound for that. It is a batch then.
    fn lends(&self) -> Option<CpuSet> {
        let (main, _) = self.stubs;
        // A model may set both its policy and its cores. The number of a process that has ended may be another's by now.
        if self.binding != Binding::AsItWakes || self.ended.load(Ordering::Acquire) || !is_usual(main) {
            return None;
        }
        let cores = sched_getaffinity(Some(main)).ok()?;
        (cores.is_set(self.core) && set_policy(main, libc::SCHED_BATCH)).then_some(cores)
    }

    fn only(&self) -> CpuSet {
        let mut only = CpuSet::new();
        only.set(self.core);
        only
    }

    pub(super) fn ends(&self) -> After {
        self.turns.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        let late = state.late.take();
        // What was about to be started then is there by now.
        if let Some(since) = late
            && self.stub.is_alive()
        {
            let (_, cores) = &self.stubs;
            self.give_back_all(cores, Some(since));
        }
        match late {
            _ if state.is_parted => After::Parted,
            Some(_) => After::Late,
            None => After::Bound,
        }
    }

    pub(super) fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the threads their cores back, and those that the model has started meanwhile.
    pub(super) fn part(&self) {
        let mut state = self.lock();
        if std::mem::replace(&mut state.is_parted, true) {
            return;
        }
        let (waiting, own) = &self.waiting;
        self.give_back(*waiting, own);
        let is_throughout = self.binding == Binding::Throughout;
        // The number of a process that has ended may be another's by now.
        if (is_throughout || state.first_late.is_some()) && self.stub.is_alive() {
            let (_, cores) = &self.stubs;
            self.give_back_all(cores, state.first_late);
        }
        // What the waiting thread has started of this process's. Threads that were there before have the cores that they want.
        let began = descent::tasks(rustix::process::getpid().as_raw_pid());
        let began = began.filter(|task| !self.before.contains(task)).filter_map(Pid::from_raw);
        began.for_each(|thread| self.give_back(thread, own));
        drop(state);
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner).retain(|&core| core != self.core);
    }

    /// All threads of the stub, and of the processes that it has started, which begin with the cores of the thread that starts them: all,
    /// or those that have begun since.
    fn give_back_all(&self, cores: &CpuSet, since: Option<Ticks>) {
        descent::each_below(self.stub.pid(), &mut |process, task| {
            let Some(thread) = Pid::from_raw(task) else { return };
            if self.has_one(thread) && since.is_none_or(|since| since.is_before(process, task)) {
                self.give_back(thread, cores);
            }
        });
    }

    fn has_one(&self, thread: Pid) -> bool {
        sched_getaffinity(Some(thread)).is_ok_and(|now| now == self.only())
    }

    /// One that has other cores has been given them by somebody else.
    fn give_back(&self, thread: Pid, cores: &CpuSet) {
        if self.has_one(thread)
            && let Err(error) = sched_setaffinity(Some(thread), cores)
        {
            debug!(stub = self.stub.pid(), "a thread keeps the core {}: {error}", self.core);
        }
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        self.part();
    }
}

/// Whether a thread is scheduled as usual, so that it may be scheduled as a batch for a moment.
fn is_usual(thread: Pid) -> bool {
    // SAFETY: the call reads nothing of this process's memory.
    unsafe { libc::sched_getscheduler(thread.as_raw_pid()) == libc::SCHED_OTHER }
}

/// Returns whether it was set.
fn set_policy(thread: Pid, policy: i32) -> bool {
    // SAFETY: all zeroes are what both policies want.
    let none: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: the call reads `none` only.
    unsafe { libc::sched_setscheduler(thread.as_raw_pid(), policy, &raw const none) == 0 }
}

/// Takes a core that both may use: the one that the caller is on, unless others share it. At most half of the cores are taken.
fn take(one: &CpuSet, other: &CpuSet) -> Option<usize> {
    let is_both = |core: usize| core < CpuSet::MAX_CPU && one.is_set(core) && other.is_set(core);
    let all: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&core| is_both(core)).collect();
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if taken.len() >= all.len() / 2 {
        return None;
    }
    let current = sched_getcpu();
    let free = |core: &usize| !taken.contains(core);
    let core = all.iter().copied().find(|core| *core == current && free(core));
    let core = core.or_else(|| all.iter().copied().find(free))?;
    taken.push(core);
    Some(core)
}
