//! Triton's delay hooks for tests of cancellation: they hold a call in the moments in which its client may go away.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::sleep;

/// How long calls are held, and where. Zero, the default, is no delay; where all are, none of this is on a call's way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TestDelays {
    /// A request that was read, before it is looked at: `TRITONSERVER_DELAY_GRPC_PROCESS`.
    pub process: Duration,
    /// A call whose client went away, before its requests are cancelled: `TRITONSERVER_DELAY_GRPC_NOTIFICATION`.
    pub notification: Duration,
    /// A `ModelInfer` that the model has answered, before its answer is made: `TRITONSERVER_DELAY_RESPONSE_COMPLETION`.
    pub response_completion: Duration,
    /// Each answer of a stream, before it is written: `TRITONSERVER_DELAY_GRPC_RESPONSE`.
    pub response: Duration,
}

/// The delays of a server, if it has any.
pub(crate) type Delays = Option<Arc<TestDelays>>;

impl TestDelays {
    /// Nothing where nothing is delayed.
    pub(crate) fn shared(self) -> Delays {
        (self != TestDelays::default()).then(|| Arc::new(self))
    }

    /// The call, cancelled some time after it is dropped.
    pub(crate) async fn cancel_late<T: Send + 'static>(
        &self,
        call: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let task = tokio::spawn(call);
        let _cancelled = CancelledLate { task: task.abort_handle(), after: self.notification };
        match task.await {
            Ok(answer) => answer,
            Err(failed) if failed.is_panic() => resume_unwind(failed.into_panic()),
            // The runtime ends, and this task with it.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Holds a call in one place.
pub(crate) async fn hold(delays: &Delays, place: fn(&TestDelays) -> Duration) {
    if let Some(delay) = delays.as_deref().map(place).filter(|delay| !delay.is_zero()) {
        // The future of every call has room for this one, which should not be large.
        Box::pin(sleep(delay)).await;
    }
}

/// Ends a task some time after this is dropped.
#[derive(Debug)]
struct CancelledLate {
    task: AbortHandle,
    after: Duration,
}

impl Drop for CancelledLate {
    fn drop(&mut self) {
        if self.task.is_finished() {
            return;
        }
        let (task, after) = (self.task.clone(), self.after);
        tokio::spawn(async move {
            sleep(after).await;
            task.abort();
        });
    }
}
