//! Waking an instance a little later than a request is queued for it.

use std::fmt::Debug;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

/// A queue whose instances sleep until they are told that there is work.
pub trait Ring: Send + Sync + Debug {
    /// Wakes an instance if there is something to do.
    fn ring(&self);
}

/// Rings when it is dropped, whatever becomes of the request that it was made for.
#[derive(Debug)]
#[must_use = "an instance sleeps until it is dropped"]
pub struct Bell(Arc<dyn Ring>);

impl Bell {
    pub fn new(queue: Arc<dyn Ring>) -> Bell {
        Bell(queue)
    }

    /// Rings after every other task that is ready on this thread had its turn: what they queue meanwhile goes into the
    /// same batch.
    pub(crate) async fn ring_last(self) {
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

impl Drop for Bell {
    fn drop(&mut self) {
        self.0.ring();
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

    impl Ring for Count {
        fn ring(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn rings_once_after_the_others_had_their_turn_or_when_nobody_waits_any_more() {
        let count = Arc::new(Count::default());
        let rung = || count.0.load(Ordering::SeqCst);
        let mut context = Context::from_waker(Waker::noop());
        let mut last = pin!(Bell::new(count.clone()).ring_last());
        assert!(last.as_mut().poll(&mut context).is_pending());
        assert_eq!(rung(), 0);
        assert!(last.as_mut().poll(&mut context).is_ready());
        assert_eq!(rung(), 1);
        {
            let mut last = pin!(Bell::new(count.clone()).ring_last());
            assert!(last.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!(rung(), 2, "the client hung up");
        drop(Bell::new(count.clone()));
        assert_eq!(rung(), 3);
    }
}
