//! Triton's hooks for test suites, in the environment: how many requests have to wait before a scheduler starts.

use std::env;

/// For the dynamic batcher and for sequences that have a slot.
pub(crate) const DELAY_SCHEDULER: &str = "TRITONSERVER_DELAY_SCHEDULER";
/// For the backlog of the sequence batcher.
pub(crate) const BACKLOG_DELAY_SCHEDULER: &str = "TRITONSERVER_BACKLOG_DELAY_SCHEDULER";

/// The number of requests that a hook asks for; 0 where it is not set or is no number, as in Triton.
pub(crate) fn requests(hook: &str) -> usize {
    let count = env::var(hook).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    if count > 0 {
        tracing::warn!("{hook}={count}: a hook for tests, requests wait until there are that many");
    }
    count
}
