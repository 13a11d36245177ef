//! Threads that are bound to one core, until they are parted.
//!
//! The thread that waits is this process's own, and is bound throughout. The stub's need not be: what a model does must not see one
//! core, nor hand it on to what it starts. Where this process is told when its backend [wakes the stub](Bound::wakes) and when it
//! [begins to wait](Bound::waits), the stub's main thread has the one core in between only, so that it is queued there, and all its
//! cores again before it runs. For as long it is also scheduled as a batch, since whoever is woken may otherwise run at once.

#![allow(unsafe_code, reason = "the policy of a thread is set by the C library only")]

use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::Pid;
use rustix::thread::{CpuSet, gettid, sched_getaffinity, sched_getcpu, sched_setaffinity};
use tracing::debug;

use super::watch;
use crate::Stub;

/// The cores that are shared by some thread and its stub.
static TAKEN: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// When the main thread of a stub has the core that it shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// All the time.
    Throughout,
    /// While it is woken: this process has to be told of that, by [`wakes_stub`](super::wakes_stub) and
    /// [`waits_for_stub`](super::waits_for_stub).
    AsItWakes,
}

/// The main thread of a stub and the calling thread on one core.
pub(super) struct Bound {
    stub: Arc<Stub>,
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
    /// The cores that the stub's main thread gets back before it runs.
    lent: Option<CpuSet>,
}

impl Bound {
    /// Binds them. `None` where they may not use several cores, other pairs have the cores, or the system refuses.
    pub(super) fn new(stub: &Arc<Stub>, binding: Binding, is_watched: bool) -> Option<Arc<Bound>> {
        let main = Pid::from_raw(stub.pid())?;
        let (stubs, own) = (sched_getaffinity(Some(main)).ok()?, sched_getaffinity(None).ok()?);
        let (core, only) = take(&stubs, &own)?;
        let bound = Bound {
            stub: Arc::clone(stub),
            core,
            binding,
            stubs: (main, stubs),
            waiting: (gettid(), own),
            turns: AtomicU64::new(0),
            state: Mutex::default(),
            before: tasks(rustix::process::getpid().as_raw_pid()).collect(),
        };
        // What is there of it is dropped, and with that parted.
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

    /// The stub is about to be woken for an execution.
    pub(super) fn wakes(&self) {
        let (main, _) = self.stubs;
        let mut state = self.lock();
        if state.is_parted || self.binding != Binding::AsItWakes || !std::mem::take(&mut state.is_to_wake) {
            return;
        }
        // A model may set both its policy and its cores. The number of a process that has ended may be another's by now.
        if !self.stub.is_alive() || !is_usual(main) {
            return;
        }
        let Ok(cores) = sched_getaffinity(Some(main)) else { return };
        if !cores.is_set(self.core) || !set_policy(main, libc::SCHED_BATCH) {
            return;
        }
        let mut only = CpuSet::new();
        only.set(self.core);
        let _ = sched_setaffinity(Some(main), &only);
        state.lent = Some(cores);
    }

    /// It is woken, and now waited for.
    pub(super) fn waits(&self) {
        self.take_back(&mut self.lock());
    }

    fn take_back(&self, state: &mut State) {
        if let Some(cores) = state.lent.take() {
            let (main, _) = self.stubs;
            let _ = sched_setaffinity(Some(main), &cores);
            // Last, as it may run at once.
            set_policy(main, libc::SCHED_OTHER);
        }
    }

    /// Returns whether they are still bound.
    pub(super) fn ends(&self) -> bool {
        self.turns.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        self.take_back(&mut state);
        !state.is_parted
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
        self.take_back(&mut state);
        let (waiting, own) = &self.waiting;
        self.give_back(*waiting, own);
        // The number of a process that has ended may be another's by now.
        if self.stub.is_alive() {
            let (main, cores) = &self.stubs;
            self.give_back_all(main.as_raw_pid(), cores);
        }
        // What the waiting thread has started of this process's. Threads that were there before have the cores that they want.
        let began = tasks(rustix::process::getpid().as_raw_pid());
        let began = began.filter(|task| !self.before.contains(task)).filter_map(Pid::from_raw);
        began.for_each(|thread| self.give_back(thread, own));
        drop(state);
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner).retain(|&core| core != self.core);
    }

    /// All threads of a process, and of those that it has started, which begin with the cores of the thread that starts them.
    fn give_back_all(&self, process: i32, cores: &CpuSet) {
        for task in tasks(process) {
            if let Some(thread) = Pid::from_raw(task) {
                self.give_back(thread, cores);
            }
            let children = std::fs::read_to_string(format!("/proc/{process}/task/{task}/children"));
            let children = children.unwrap_or_default();
            let children = children.split_whitespace().filter_map(|child| child.parse().ok());
            children.for_each(|child| self.give_back_all(child, cores));
        }
    }

    /// One that has other cores has been given them by somebody else.
    fn give_back(&self, thread: Pid, cores: &CpuSet) {
        if sched_getaffinity(Some(thread)).is_ok_and(|now| now.count() == 1 && now.is_set(self.core))
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
fn take(one: &CpuSet, other: &CpuSet) -> Option<(usize, CpuSet)> {
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
    let mut only = CpuSet::new();
    only.set(core);
    Some((core, only))
}

/// The threads of a process.
fn tasks(process: i32) -> impl Iterator<Item = i32> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task"));
    tasks.into_iter().flatten().flatten().filter_map(|task| task.file_name().to_str()?.parse().ok())
}

/// How many threads a stub has.
pub(super) fn threads(stub: &Stub) -> Option<u64> {
    std::fs::metadata(format!("/proc/{}/task", stub.pid())).ok().map(|folder| folder.nlink())
}
