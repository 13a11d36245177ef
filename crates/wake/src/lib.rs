//! Deferred wake-ups, so that one wake-up serves several requests.
//!
//! [`DeferredWake`] wakes an instance once the tasks that are ready have queued their requests. [`batch_waker`] and
//! [`wake_together`] wake the tasks that wait for the responses of a batch by one system call.

mod batch_waker;
mod deferred_wake;

pub use batch_waker::{batch_waker, wake_at_once, wake_together};
pub use deferred_wake::{DeferredWake, WakeInstance};
