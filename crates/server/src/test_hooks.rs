//! Triton's environment variables for test suites: how many requests a scheduler waits for before it starts, and where
//! gRPC calls are delayed, so that a test can cancel them there.

use std::env;
use std::time::Duration;

use hippocamp_grpc::TestDelays;

/// The number of requests for the dynamic batcher and for sequences that have a slot.
pub(crate) const DELAY_SCHEDULER: &str = "TRITONSERVER_DELAY_SCHEDULER";
/// The number of requests for the backlog of the sequence batcher.
pub(crate) const BACKLOG_DELAY_SCHEDULER: &str = "TRITONSERVER_BACKLOG_DELAY_SCHEDULER";

/// Delays in milliseconds; [`TestDelays`] says where each applies.
const DELAY_GRPC_PROCESS: &str = "TRITONSERVER_DELAY_GRPC_PROCESS";
const DELAY_GRPC_NOTIFICATION: &str = "TRITONSERVER_DELAY_GRPC_NOTIFICATION";
const DELAY_RESPONSE_COMPLETION: &str = "TRITONSERVER_DELAY_RESPONSE_COMPLETION";
const DELAY_GRPC_RESPONSE: &str = "TRITONSERVER_DELAY_GRPC_RESPONSE";
/// In Triton it delays a cancelled call on its way back to the completion queue, which does not exist here.
const DELAY_GRPC_ENQUEUE: &str = "TRITONSERVER_DELAY_GRPC_ENQUEUE";

/// The number in the variable; 0 if it is not set or no number, as in Triton.
pub(crate) fn requests(hook: &str) -> usize {
    let count = number(hook);
    if count > 0 {
        tracing::warn!("{hook}={count}: a hook for tests, requests wait until there are that many");
    }
    count
}

/// The delays of gRPC calls; zero for variables that are not set.
pub(crate) fn grpc_delays() -> TestDelays {
    let ignored = number::<u32>(DELAY_GRPC_ENQUEUE);
    if ignored > 0 {
        tracing::warn!("{DELAY_GRPC_ENQUEUE}={ignored}: a hook for tests that has nothing to delay here");
    }
    TestDelays {
        process: delay(DELAY_GRPC_PROCESS),
        notification: delay(DELAY_GRPC_NOTIFICATION),
        response_completion: delay(DELAY_RESPONSE_COMPLETION),
        response: delay(DELAY_GRPC_RESPONSE),
    }
}

fn delay(hook: &str) -> Duration {
    let milliseconds = number::<u32>(hook);
    if milliseconds > 0 {
        tracing::warn!(
            "{hook}={milliseconds}: a hook for tests, gRPC calls are held for so many milliseconds"
        );
    }
    Duration::from_millis(milliseconds.into())
}

fn number<T: std::str::FromStr + Default>(hook: &str) -> T {
    env::var(hook).ok().and_then(|text| text.trim().parse().ok()).unwrap_or_default()
}
