//! Deferred wake: an instance is woken a little later than a request is queued for it.

use std::fmt::Debug;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

/// A queue whose instances sleep until they are woken for work.
pub trait WakeInstance: Send + Sync + Debug {
    /// Wakes an instance if there is something to do.
    fn wake_instance(&self);
}

/// Wakes an instance when it is dropped, also if its request was cancelled.
#[derive(Debug)]
#[must_use = "an instance sleeps until it is dropped"]
pub struct DeferredWake(Arc<dyn WakeInstance>);

impl DeferredWake {
    /// A deferred wake for an instance of that queue.
    pub fn new(queue: Arc<dyn WakeInstance>) -> DeferredWake {
        DeferredWake(queue)
    }

    /// Wakes the instance after the other tasks that are ready on this thread have run, so that requests which they
    /// queue join the same batch.
    pub async fn wake_last(self) {
        let mut waited = false;
        poll_fn(|context| {
            if waited {
                return Poll::Ready(());
            }
            waited = true;
            // A task that wakes itself goes behind all that are ready.
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        drop(self);
    }
}

impl Drop for DeferredWake {
    fn drop(&mut self) {
        self.0.wake_instance();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Waker};

    use super::*;

    #[derive(Debug, Default)]
    struct Count(AtomicUsize);

    impl WakeInstance for Count {
        fn wake_instance(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn wakes_once_after_the_others_had_their_turn_or_when_nobody_waits_any_more() {
        let count = Arc::new(Count::default());
        let woken = || count.0.load(Ordering::SeqCst);
        let mut context = Context::from_waker(Waker::noop());
        let mut last = pin!(DeferredWake::new(count.clone()).wake_last());
        assert!(last.as_mut().poll(&mut context).is_pending());
        assert_eq!(woken(), 0);
        assert!(last.as_mut().poll(&mut context).is_ready());
        assert_eq!(woken(), 1);
        {
            let mut last = pin!(DeferredWake::new(count.clone()).wake_last());
            assert!(last.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!(woken(), 2, "the client hung up");
        drop(DeferredWake::new(count.clone()));
        assert_eq!(woken(), 3);
    }
}
