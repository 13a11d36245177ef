//! A fair lock for each model, so that its loads and unloads run one at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// The lock of one model, with the number of tasks that hold it or wait for it.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    lock: Arc<AsyncMutex<()>>,
    /// The number of claims that hold the lock or wait for it.
    claims: Arc<AtomicUsize>,
}

impl Turn {
    /// Makes a claim on the lock. Called under the lock of the models, so that a reader of [`claims`](Self::claims) under
    /// that lock misses no claim.
    pub(crate) fn claim(&self) -> Claim {
        self.claims.fetch_add(1, Ordering::AcqRel);
        Claim { lock: Arc::clone(&self.lock), claims: Arc::clone(&self.claims) }
    }

    /// The number of claims that hold the lock or wait for it.
    pub(crate) fn claims(&self) -> usize {
        self.claims.load(Ordering::Acquire)
    }
}

/// A claim on the lock, counted from its creation until it is dropped or the lock is released.
#[derive(Debug)]
pub(crate) struct Claim {
    lock: Arc<AsyncMutex<()>>,
    claims: Arc<AtomicUsize>,
}

impl Claim {
    /// Waits for the lock, first come, first served.
    pub(crate) async fn wait(self) -> HeldTurn {
        HeldTurn { _lock: Arc::clone(&self.lock).lock_owned().await, _claim: self }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The held lock. Dropping it releases the lock.
#[derive(Debug)]
pub(crate) struct HeldTurn {
    _lock: OwnedMutexGuard<()>,
    _claim: Claim,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_and_who_has_the_turn_is_counted() {
        let turn = Turn::default();
        let held = turn.claim().wait().await;
        let waiting = turn.claim();
        assert_eq!(turn.claims(), 2);
        drop(held);
        assert_eq!(turn.claims(), 1);
        let held = waiting.wait().await;
        assert_eq!(turn.claims(), 1);
        // One that stops waiting is no claim any more.
        let waiting = tokio::spawn(turn.claim().wait());
        tokio::task::yield_now().await;
        assert_eq!(turn.claims(), 2);
        waiting.abort();
        assert!(waiting.await.is_err());
        assert_eq!(turn.claims(), 1);
        drop(held);
        assert_eq!(turn.claims(), 0);
    }
}
