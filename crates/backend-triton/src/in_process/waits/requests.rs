//! What becomes of the requests of a call: of the request itself, or of those to the steps of an ensemble.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hippocamp_backend::{ModelId, RequestContext, RequestEvent, RequestObserver};

use super::GRAPH;

thread_local! {
    /// The requests whose execution has begun on the thread, before the instance gets them.
    static STARTED: Cell<Vec<(u64, u64)>> = const { Cell::new(Vec::new()) };
}

/// Requests of calls that are waited for, by call and request.
#[derive(Debug, Default)]
pub(crate) struct StartedRequests(pub(super) Vec<(u64, u64)>);

impl StartedRequests {
    /// Those that the calling thread is about to execute.
    pub(crate) fn of_this_thread() -> StartedRequests {
        StartedRequests(STARTED.take())
    }
}

/// Follows a request of a call.
#[derive(Debug)]
pub(super) struct Follower {
    call: u64,
    request: u64,
}

impl Follower {
    pub(super) fn of(call: u64) -> Arc<dyn RequestObserver> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let request = LAST.fetch_add(1, Ordering::Relaxed);
        Arc::new(Follower { call, request })
    }
}

impl RequestObserver for Follower {
    fn on_event(&self, model: &ModelId, _: &RequestContext, event: &RequestEvent<'_>) {
        let Follower { call, request } = *self;
        let model = (&*model.name, model.version);
        match event {
            RequestEvent::Queued { .. } => GRAPH.lock().is_queued(call, request, model),
            // Its instance follows on the same thread. There is none of models that are not known here.
            RequestEvent::Started { .. } if GRAPH.lock().has_queued(call, request) => {
                let mut started = STARTED.take();
                started.push((call, request));
                STARTED.set(started);
            }
            RequestEvent::Ended { .. } => GRAPH.lock().is_ended(call, request, model),
            _ => {}
        }
    }

    fn of_step(&self) -> Option<Arc<dyn RequestObserver>> {
        Some(Follower::of(self.call))
    }
}
