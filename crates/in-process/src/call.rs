//! Calls whose caller waits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hippocamp_backend::{
    Error, InProcessEvent, InProcessRequest, InProcessResponse, InProcessServer, InProcessSink, Result,
};
use parking_lot::{Condvar, Mutex};
use tokio::runtime::Handle;

/// Sends a request to a model. The responses are waited for by the calling thread, which must not be one that serves connections,
/// nor the only instance of what it calls.
pub fn call(server: &dyn InProcessServer, request: InProcessRequest) -> Result<Call> {
    if Handle::try_current().is_ok() {
        return Err(Error::internal(format!(
            "a backend cannot wait for model '{}' on a thread that serves connections: its instances have to be bound to \
             threads of their own",
            request.model
        )));
    }
    let shared = Arc::new(Shared::default());
    server.infer(request, Box::new(Delivering(Arc::clone(&shared))))?;
    Ok(Call { shared, is_over: false })
}

/// A request that was sent. Dropping it cancels the request.
#[derive(Debug)]
pub struct Call {
    shared: Arc<Shared>,
    is_over: bool,
}

#[derive(Debug, Default)]
struct Shared {
    events: Mutex<VecDeque<InProcessEvent>>,
    came: Condvar,
    is_cancelled: AtomicBool,
}

impl Call {
    /// Waits for the next event; `None` after the last.
    #[allow(clippy::should_implement_trait, reason = "an iterator would be taken for something cheap")]
    pub fn next(&mut self) -> Option<InProcessEvent> {
        if self.is_over {
            return None;
        }
        let mut events = self.shared.events.lock();
        let event = loop {
            match events.pop_front() {
                Some(event) => break event,
                None => self.shared.came.wait(&mut events),
            }
        };
        self.is_over = event.is_last();
        Some(event)
    }

    /// Waits for the response of a model that answers once.
    pub fn only(mut self) -> Result<InProcessResponse> {
        match self.next() {
            Some(InProcessEvent::Response { response, .. }) => Ok(response),
            Some(InProcessEvent::Failed { error, .. }) => Err(error),
            Some(InProcessEvent::End) | None => Err(Error::internal("the model answered without a response")),
        }
    }

    /// Asks the model to stop. The last event comes all the same.
    pub fn cancel(&self) {
        self.shared.is_cancelled.store(true, Ordering::Release);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.cancel();
    }
}

#[derive(Debug)]
struct Delivering(Arc<Shared>);

impl InProcessSink for Delivering {
    fn deliver(&mut self, event: InProcessEvent) {
        self.0.events.lock().push_back(event);
        self.0.came.notify_one();
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled.load(Ordering::Acquire)
    }
}
