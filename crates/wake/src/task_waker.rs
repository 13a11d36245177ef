//! Wakes tasks that wait for responses: those of a batch together, and none with more system calls than needed.
//!
//! The runtime writes the first response while the others of its batch are still being sent, so each would be written
//! separately. When its mailbox gets all of them at once, that is one signal, and responses that share a connection
//! leave in one write.

use std::cell::RefCell;
use std::mem;
use std::sync::Arc;
use std::task::{Wake, Waker};

use crate::mailbox::Mailbox;

thread_local! {
    static HELD: RefCell<Held> = const { RefCell::new(Held { holds: false, tasks: Vec::new() }) };
}

/// The tasks that were woken on this thread since it began to answer a batch.
struct Held {
    /// Whether it is answering one.
    holds: bool,
    tasks: Vec<(&'static Mailbox, Waker)>,
}

/// A task that waits, and the runtime that wakes it.
#[derive(Debug)]
pub struct TaskWaker {
    waker: Waker,
    /// `None` outside of a runtime.
    mailbox: Option<&'static Mailbox>,
}

impl TaskWaker {
    /// Of the task that is being polled with `waker`. Has to be called in its runtime.
    pub fn new(waker: &Waker) -> TaskWaker {
        TaskWaker { waker: waker.clone(), mailbox: Mailbox::current() }
    }

    /// Whether it wakes the same task as `waker`.
    pub fn will_wake(&self, waker: &Waker) -> bool {
        self.waker.will_wake(waker)
    }

    /// Wakes the task, or holds it until the batch that is being answered on this thread is.
    pub fn wake(self) {
        let TaskWaker { waker, mailbox: Some(mailbox) } = self else { return self.waker.wake() };
        // Threads that end wake as well, when what they owned is dropped.
        let mut waker = Some(waker);
        let _ = HELD.try_with(|held| {
            let held = &mut *held.borrow_mut();
            if held.holds {
                held.tasks.extend(waker.take().map(|waker| (mailbox, waker)));
            }
        });
        if let Some(waker) = waker {
            wake_one(mailbox, waker);
        }
    }
}

/// For channels that take a [`Waker`]: one of the same task, which wakes it as a [`TaskWaker`] does. Costs an allocation.
impl From<TaskWaker> for Waker {
    fn from(task: TaskWaker) -> Waker {
        Waker::from(Arc::new(Shared(task)))
    }
}

struct Shared(TaskWaker);

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let TaskWaker { waker, mailbox } = &self.0;
        TaskWaker { waker: waker.clone(), mailbox: *mailbox }.wake();
    }
}

/// Answers the requests of a batch. Waiting tasks are woken when `answer` returns or panics, so it must do nothing
/// else.
pub fn wake_together(count: usize, answer: impl FnOnce()) {
    if count < 2 {
        return answer();
    }
    let _restored = Holding(hold(true));
    answer();
}

/// Runs `act`, which may take long or block, inside of [`wake_together`]: tasks that are woken before or by it are
/// woken at once.
pub fn wake_at_once(act: impl FnOnce()) {
    if !HELD.with_borrow(|held| held.holds) {
        return act();
    }
    let _restored = Holding(hold(false));
    wake_held();
    act();
}

/// Sets whether tasks are held, and returns whether they were.
fn hold(holds: bool) -> bool {
    HELD.with_borrow_mut(|held| mem::replace(&mut held.holds, holds))
}

/// Whether tasks were held before, which is restored when it is dropped.
struct Holding(bool);

impl Drop for Holding {
    fn drop(&mut self) {
        hold(self.0);
        if !self.0 {
            wake_held();
        }
    }
}

/// Wakes the tasks that this thread holds.
fn wake_held() {
    let mut tasks = HELD.with_borrow_mut(|held| mem::take(&mut held.tasks));
    while let [(mailbox, _), others @ ..] = &tasks[..] {
        let mailbox = *mailbox;
        if others.is_empty() {
            tasks.drain(..).for_each(|(mailbox, waker)| wake_one(mailbox, waker));
            break;
        }
        let of_it = tasks.extract_if(.., |(other, _)| std::ptr::eq(*other, mailbox)).map(|(_, waker)| waker);
        if mailbox.is_of_this_thread() {
            of_it.for_each(Waker::wake);
        } else {
            mailbox.put(of_it);
        }
    }
    // Its memory is kept for the next batch.
    HELD.with_borrow_mut(|held| {
        if held.tasks.capacity() == 0 {
            held.tasks = tasks;
        }
    });
}

#[inline]
fn wake_one(mailbox: &'static Mailbox, waker: Waker) {
    if mailbox.is_of_this_thread() {
        // No other thread has to be told.
        waker.wake();
    } else {
        mailbox.put(std::iter::once(waker));
    }
}

#[cfg(test)]
mod tests;
