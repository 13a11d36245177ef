//! The mailbox of a runtime: tasks that other threads want it to wake.
//!
//! To wake a task of a runtime from another thread is a system call each time, also if the runtime was told a moment ago
//! and has not looked yet. With a mailbox the other threads put wakers there, and signal one long-lived task of the
//! runtime, which wakes them. Until that task has looked, further wakers cost no signal.

use std::cell::Cell;
use std::mem;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::runtime::{Handle, Id};

thread_local! {
    /// The mailbox of the runtime in which this thread was last.
    static CURRENT: Cell<Option<(Id, &'static Mailbox)>> = const { Cell::new(None) };
}

/// All mailboxes. One lives as long as the process, so that who waits needs no count of its uses; that of a runtime which
/// has ended is used for another one.
static ALL: Mutex<All> = Mutex::new(All { used: Vec::new(), unused: Vec::new() });

struct All {
    used: Vec<(Id, &'static Mailbox)>,
    unused: Vec<&'static Mailbox>,
}

fn all() -> MutexGuard<'static, All> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Default)]
pub(crate) struct Mailbox(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    wakers: Vec<Waker>,
    /// Wakes the task that empties the mailbox; `None` before that has run for the first time.
    task: Option<Waker>,
    /// The task will look once more.
    is_signalled: bool,
    /// There is no runtime: who puts wakers here wakes them itself.
    is_closed: bool,
}

impl Mailbox {
    /// The mailbox of the runtime that this thread is in; `None` outside of one.
    #[inline]
    pub(crate) fn current() -> Option<&'static Mailbox> {
        let runtime = Handle::try_current().ok()?;
        match CURRENT.get() {
            Some((id, mailbox)) if id == runtime.id() => Some(mailbox),
            _ => Some(Mailbox::of(&runtime)),
        }
    }

    /// Whether it is that of the runtime in which this thread was last.
    #[inline]
    pub(crate) fn is_of_this_thread(&self) -> bool {
        CURRENT.get().is_some_and(|(_, mailbox)| std::ptr::eq(mailbox, self))
    }

    #[cold]
    fn of(runtime: &Handle) -> &'static Mailbox {
        let id = runtime.id();
        let mut all = all();
        let known = all.used.iter().find(|(used, _)| *used == id).map(|(_, mailbox)| *mailbox);
        let mailbox = known.unwrap_or_else(|| {
            let mailbox = all.unused.pop().unwrap_or_else(|| Box::leak(Box::default()));
            // The first look of its task is still to come.
            *mailbox.lock() = State { is_signalled: true, ..State::default() };
            all.used.push((id, mailbox));
            mailbox
        });
        drop(all);
        if known.is_none() {
            // A runtime that is shut down drops it at once.
            drop(runtime.spawn(Emptying { mailbox, runtime: id, taken: Vec::new() }));
        }
        CURRENT.set(Some((id, mailbox)));
        mailbox
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A mutex of the standard library, as every backend brings in this crate.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the runtime wake these tasks.
    pub(crate) fn put(&self, wakers: impl Iterator<Item = Waker>) {
        let mut state = self.lock();
        if state.is_closed {
            drop(state);
            return wakers.for_each(Waker::wake);
        }
        state.wakers.extend(wakers);
        let is_due = !mem::replace(&mut state.is_signalled, true);
        let task = if is_due { state.task.clone() } else { None };
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }
}

/// The task that empties a mailbox as long as its runtime lives.
struct Emptying {
    mailbox: &'static Mailbox,
    runtime: Id,
    /// What was taken out, empty between two looks; its memory is kept.
    taken: Vec<Waker>,
}

impl Future for Emptying {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Emptying { mailbox, taken, .. } = &mut *self;
        let mut state = mailbox.lock();
        if state.task.is_none() {
            state.task = Some(context.waker().clone());
        }
        mem::swap(&mut state.wakers, taken);
        // More than one were put while the runtime was busy, and it is with these: so it looks once more behind them,
        // and until then nobody has to signal.
        state.is_signalled = taken.len() > 1;
        let looks_again = state.is_signalled;
        drop(state);
        taken.drain(..).for_each(Waker::wake);
        if looks_again {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Drop for Emptying {
    fn drop(&mut self) {
        let State { wakers, task, .. } =
            mem::replace(&mut *self.mailbox.lock(), State { is_closed: true, ..State::default() });
        wakers.into_iter().for_each(Waker::wake);
        drop(task);
        let mut all = all();
        all.used.retain(|(id, _)| *id != self.runtime);
        all.unused.push(self.mailbox);
    }
}
