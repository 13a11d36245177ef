//! Deferred wake-ups, so that one wake-up serves several requests.
//!
//! [`DeferredWake`] wakes an instance once the tasks that are ready have queued their requests. A [`TaskWaker`] wakes a
//! task through the mailbox of its runtime, so that a burst of responses costs one system call, and [`wake_together`]
//! wakes the tasks that wait for the responses of a batch at once.

mod deferred_wake;
mod mailbox;
mod task_waker;

pub use deferred_wake::{DeferredWake, WakeInstance};
pub use task_waker::{TaskWaker, wake_at_once, wake_together};
