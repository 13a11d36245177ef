//! Numbers of threads.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of the calling thread. Threads that begin one after the other have neighbouring numbers.
pub(crate) fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    // A thread that ends may still push.
    NUMBER.try_with(|number| *number).unwrap_or(0)
}
