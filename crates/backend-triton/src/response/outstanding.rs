//! The requests that a backend has not given back or not answered yet.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tracing::warn;

/// Counts the requests of an instance that are not over.
#[derive(Debug, Default)]
pub(crate) struct Outstanding {
    count: Mutex<usize>,
    changed: Condvar,
}

/// A request that is not over until this is dropped.
#[derive(Debug)]
pub(crate) struct OutstandingRequest(Arc<Outstanding>);

impl Outstanding {
    pub(crate) fn begin(self: &Arc<Self>) -> OutstandingRequest {
        *self.count.lock() += 1;
        OutstandingRequest(Arc::clone(self))
    }

    /// Waits until all requests are over.
    pub(crate) fn wait(&self, instance: &str) {
        /// How often the log tells that it is still waited for.
        const AGAIN: Duration = Duration::from_secs(10);
        let mut count = self.count.lock();
        while *count > 0 {
            if self.changed.wait_for(&mut count, AGAIN).timed_out() {
                warn!(instance, requests = *count, "waiting for requests that the backend still has");
            }
        }
    }
}

impl Drop for OutstandingRequest {
    fn drop(&mut self) {
        *self.0.count.lock() -= 1;
        self.0.changed.notify_all();
    }
}
