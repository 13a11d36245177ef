//! Calls that are answered by callbacks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hippocamp_backend::{InProcessEvent, InProcessRequest, InProcessServer, InProcessSink, Result};

use crate::Mailbox;

/// Sends a request to a model. Each event is given to `callback`, in order and one at a time, on a thread that may block;
/// the events of a decoupled model that come meanwhile wait. The callback is dropped behind the last event, and unused if this
/// fails. It may run before this returns.
pub fn call_back(
    server: &dyn InProcessServer,
    request: InProcessRequest,
    callback: impl FnMut(InProcessEvent) + Send + 'static,
) -> Result<Cancel> {
    let mut callback = Some(callback);
    let events = Mailbox::new(move |event: InProcessEvent| {
        let is_last = event.is_last();
        if let Some(callback) = &mut callback {
            callback(event);
        }
        if is_last {
            callback = None;
        }
    });
    let cancel = Cancel::default();
    server.infer(request, Box::new(Delivering { events, cancel: cancel.clone() }))?;
    Ok(cancel)
}

/// Cancels a request. To drop it has no effect.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the model to stop. The last event comes all the same.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether the model was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

#[derive(Debug)]
struct Delivering {
    events: Mailbox<InProcessEvent>,
    cancel: Cancel,
}

impl InProcessSink for Delivering {
    fn deliver(&mut self, event: InProcessEvent) {
        self.events.put(event);
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}
