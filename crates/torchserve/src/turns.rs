//! The order among operations that change one model.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Lets one operation at a time look a model up and change it; those on other models do not wait.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<BTreeMap<String, Weak<AsyncMutex<()>>>>);

/// The turn of an operation, which ends when this is dropped.
pub(crate) type Turn = OwnedMutexGuard<()>;

impl Turns {
    /// Waits until no other operation has that name.
    pub(crate) async fn take(&self, name: &str) -> Turn {
        let lock = {
            let mut locks = self.0.lock();
            locks.retain(|_, lock| lock.upgrade().is_some());
            let known = locks.get(name).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let lock = Arc::default();
                locks.insert(name.to_owned(), Arc::downgrade(&lock));
                lock
            })
        };
        lock.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_has_a_name() {
        let turns = Turns::default();
        let first = turns.take("m").await;
        drop(turns.take("other").await);
        assert!(turns.take("m").now_or_never().is_none());
        drop(first);
        let again = turns.take("m").now_or_never();
        assert!(again.is_some(), "nobody has it any more");
        assert_eq!(turns.0.lock().len(), 1, "what nobody waits for is forgotten");
    }
}
