//! Loads and unloads of a model, one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Who may load or unload a model, and how many want to.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    lock: Arc<AsyncMutex<()>>,
    /// Claims that wait for the turn, or have it.
    claims: Arc<AtomicUsize>,
}

impl Turn {
    /// Wants the turn. Called under the lock of the models, so that whoever looks at the count under that lock misses no
    /// claim.
    pub(crate) fn claim(&self) -> Claim {
        self.claims.fetch_add(1, Ordering::AcqRel);
        Claim { lock: Arc::clone(&self.lock), claims: Arc::clone(&self.claims) }
    }

    /// How many wait for the turn or have it.
    pub(crate) fn claims(&self) -> usize {
        self.claims.load(Ordering::Acquire)
    }
}

/// Counted from when the turn is wanted until it is given back.
#[derive(Debug)]
pub(crate) struct Claim {
    lock: Arc<AsyncMutex<()>>,
    claims: Arc<AtomicUsize>,
}

impl Claim {
    /// Waits for the turn: the first to wait is the first to get it.
    pub(crate) async fn wait(self) -> HeldTurn {
        HeldTurn { _lock: Arc::clone(&self.lock).lock_owned().await, _claim: self }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The turn, until it is dropped.
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
