//! The batch waker: the tasks that wait for the responses of a batch are woken with one wake-up.
//!
//! Waking a task of a runtime from another thread costs a system call each time, and the runtime writes the first
//! response while the others are still being sent, so each is written separately. When one task of their own runtime
//! wakes all of them, that is one system call, and responses that share a connection leave in one write.

use std::cell::RefCell;
use std::sync::Arc;
use std::task::{Wake, Waker};

use tokio::runtime::Handle;

thread_local! {
    /// The wakers that were called on this thread since it began to answer a batch; `None` outside of a batch.
    static HELD: RefCell<Option<Vec<Arc<BatchWaker>>>> = const { RefCell::new(None) };
}

/// A task that waits for a response.
struct BatchWaker {
    waker: Waker,
    runtime: Handle,
}

impl Wake for BatchWaker {
    fn wake(self: Arc<Self>) {
        // Threads that end wake as well, when what they owned is dropped.
        let held = HELD.try_with(|held| match &mut *held.borrow_mut() {
            Some(held) => {
                held.push(Arc::clone(&self));
                true
            }
            None => false,
        });
        if !held.unwrap_or(false) {
            self.waker.wake_by_ref();
        }
    }
}

/// Makes a waker for the same task that may wake it together with others of its batch. Has to be called in the task's
/// runtime; outside of a runtime it returns the same waker. Costs an allocation.
pub fn batch_waker(waker: &Waker) -> Waker {
    match Handle::try_current() {
        Ok(runtime) => Waker::from(Arc::new(BatchWaker { waker: waker.clone(), runtime })),
        Err(_) => waker.clone(),
    }
}

/// Answers the requests of a batch. Waiting tasks are woken when `answer` returns or panics, so it must do nothing
/// else.
pub fn wake_together(count: usize, answer: impl FnOnce()) {
    if count < 2 {
        return answer();
    }
    let _woken = Held(HELD.replace(Some(Vec::with_capacity(count))));
    answer();
}

/// Runs `act`, which may take long or block, inside of [`wake_together`]: tasks that are woken before or by it are
/// woken at once.
pub fn wake_at_once(act: impl FnOnce()) {
    if HELD.with_borrow(Option::is_none) {
        return act();
    }
    let _again = Again;
    wake(HELD.take());
    act();
}

/// Wakes the held tasks when it is dropped, and restores the previous state.
struct Held(Option<Vec<Arc<BatchWaker>>>);

impl Drop for Held {
    fn drop(&mut self) {
        wake(HELD.replace(self.0.take()));
    }
}

/// Holds wake-ups again when it is dropped.
struct Again;

impl Drop for Again {
    fn drop(&mut self) {
        HELD.set(Some(Vec::new()));
    }
}

fn wake(held: Option<Vec<Arc<BatchWaker>>>) {
    let mut held = held.unwrap_or_default();
    while let Some(first) = held.first() {
        let (runtime, id) = (first.runtime.clone(), first.runtime.id());
        let (same, others) = held.into_iter().partition(|waker| waker.runtime.id() == id);
        held = others;
        wake_in(&runtime, same);
    }
}

fn wake_in(runtime: &Handle, wakers: Vec<Arc<BatchWaker>>) {
    if let [one] = &wakers[..] {
        return one.waker.wake_by_ref();
    }
    // A runtime that is shut down drops it, and has dropped the tasks before.
    drop(runtime.spawn(async move {
        for waker in wakers {
            waker.waker.wake_by_ref();
        }
    }));
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::runtime::{Builder, Runtime};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Count {
        fn woken(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    fn runtime() -> Runtime {
        Builder::new_current_thread().build().unwrap()
    }

    /// A waker of that runtime; wakes are counted.
    fn waker_of(runtime: &Runtime, count: &Arc<Count>) -> Waker {
        let _in = runtime.enter();
        batch_waker(&Waker::from(Arc::clone(count)))
    }

    fn turn(runtime: &Runtime) {
        runtime.block_on(tokio::task::yield_now());
    }

    #[test]
    fn those_of_a_batch_are_woken_by_their_own_runtimes_when_all_are_answered() {
        let (ours, others) = (runtime(), runtime());
        let (count, other) = (Arc::<Count>::default(), Arc::<Count>::default());
        wake_together(5, || {
            for _ in 0..2 {
                waker_of(&ours, &count).wake();
                waker_of(&others, &other).wake();
            }
            waker_of(&ours, &count).wake();
        });
        assert_eq!((count.woken(), other.woken()), (0, 0), "no runtime had a turn");
        turn(&ours);
        assert_eq!((count.woken(), other.woken()), (3, 0));
        turn(&others);
        assert_eq!((count.woken(), other.woken()), (3, 2));
    }

    #[test]
    fn whoever_is_alone_is_woken_at_once() {
        let (runtime, count) = (runtime(), Arc::<Count>::default());
        wake_together(1, || {
            waker_of(&runtime, &count).wake();
            assert_eq!(count.woken(), 1, "a batch of one");
        });
        wake_together(2, || waker_of(&runtime, &count).wake());
        assert_eq!(count.woken(), 2, "one of two has gone");
        waker_of(&runtime, &count).wake();
        assert_eq!(count.woken(), 3, "no batch");
        batch_waker(&Waker::from(Arc::clone(&count))).wake();
        assert_eq!(count.woken(), 4, "no runtime");
    }

    #[test]
    fn nobody_is_held_while_something_takes_long() {
        let (runtime, count) = (runtime(), Arc::<Count>::default());
        wake_together(3, || {
            waker_of(&runtime, &count).wake();
            wake_at_once(|| {
                assert_eq!(count.woken(), 1);
                waker_of(&runtime, &count).wake();
                assert_eq!(count.woken(), 2);
            });
            waker_of(&runtime, &count).wake();
            assert_eq!(count.woken(), 2, "held again");
        });
        assert_eq!(count.woken(), 3);
    }

    #[test]
    fn a_panic_leaves_nobody_asleep() {
        let (runtime, count) = (runtime(), Arc::<Count>::default());
        let answer = || {
            waker_of(&runtime, &count).wake();
            panic!("told to");
        };
        catch_unwind(AssertUnwindSafe(|| wake_together(2, answer))).unwrap_err();
        assert_eq!(count.woken(), 1);
        waker_of(&runtime, &count).wake();
        assert_eq!(count.woken(), 2, "nothing is held any more");
    }
}
