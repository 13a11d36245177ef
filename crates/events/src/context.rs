//! What is known of a request besides its tensors.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

use crate::{ExecutionTimes, TraceParent};

/// What accompanies a request from its arrival to its end.
///
/// Whether it is cancelled is known by its response channel: a client that is gone has dropped the receiving end. So no flag
/// is kept here, and none has to be allocated; ask the request.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The client's own id, may be empty. Not unique.
    pub id: Arc<str>,
    /// When it came in; its duration counts from here.
    pub received: Instant,
    /// When its client stops waiting, if the client said so.
    pub deadline: Option<Instant>,
    /// The span of the client's trace that it belongs to, if the client said so.
    pub trace_parent: Option<Box<TraceParent>>,
    /// The request on whose behalf this one was made. `None` for a client's own.
    pub parent: Option<Arc<dyn ParentRequest>>,
}

/// The request on whose behalf others are made: one to an ensemble, whose steps are requests to other models.
pub trait ParentRequest: Send + Sync + Debug {
    /// Its own context.
    fn context(&self) -> &RequestContext;

    /// A request that was made for it was executed. Called once, before the last event of that one is sent.
    fn step_executed(&self, times: &ExecutionTimes);
}

impl RequestContext {
    /// Of a request that came in at `received` and of which nothing else is known.
    pub fn new(received: Instant) -> RequestContext {
        RequestContext::with_id("".into(), received)
    }

    /// Of a request with that id, which came in at `received`.
    pub fn with_id(id: Arc<str>, received: Instant) -> RequestContext {
        RequestContext { id, received, deadline: None, trace_parent: None, parent: None }
    }

    /// The client's own id as errors tell it.
    pub fn shown_id(&self) -> &str {
        if self.id.is_empty() { "<id_unknown>" } else { &self.id }
    }

    /// Of a request that is made for `parent`, whose id, deadline and trace it has.
    pub fn of_step(parent: Arc<dyn ParentRequest>, received: Instant) -> RequestContext {
        let RequestContext { id, deadline, trace_parent, .. } = parent.context();
        let (id, deadline, trace_parent) = (Arc::clone(id), *deadline, trace_parent.clone());
        RequestContext { id, received, deadline, trace_parent, parent: Some(parent) }
    }
}

impl From<Instant> for RequestContext {
    fn from(received: Instant) -> RequestContext {
        RequestContext::new(received)
    }
}
