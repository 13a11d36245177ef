//! What is known of a request besides its tensors.

use std::fmt::Debug;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use crate::{ExecutionTimes, RequestObserver, TraceContext};

/// What accompanies a request from its arrival to its end.
///
/// The context has no cancellation flag: a request is cancelled when its client has dropped the receiving end of the
/// response channel. Ask the request for that.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The client's own id. It may be empty and is not unique.
    pub id: Arc<str>,
    /// When the request arrived. Its duration is measured from here.
    pub received: Instant,
    /// When its client stops waiting, if the client said so.
    pub deadline: Option<Instant>,
    /// The observer of this single request, such as its trace. Told of every event, after the observers of the model.
    pub observer: Option<Arc<dyn RequestObserver>>,
    /// The number of its batch entries; 0 if it is not known.
    pub batch_size: u32,
    /// The request on whose behalf this one was made. `None` for a request of a client.
    pub parent: Option<Arc<dyn ParentRequest>>,
    /// The GPU of the instance that took it. `None` before, and for instances elsewhere.
    pub gpu: Option<GpuNumber>,
}

/// The number of a GPU, as configs write it, in a form that takes no more room where it may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuNumber(NonZeroU32);

impl GpuNumber {
    /// `None` for a negative number, which no GPU has.
    pub fn new(id: i32) -> Option<GpuNumber> {
        u32::try_from(id).ok().and_then(|id| NonZeroU32::MIN.checked_add(id)).map(GpuNumber)
    }

    /// The number.
    pub fn id(self) -> i32 {
        (self.0.get() - 1).cast_signed()
    }
}

/// The request on whose behalf others are made: one to an ensemble, whose steps are requests to other models.
pub trait ParentRequest: Send + Sync + Debug {
    /// The context of the parent request.
    fn context(&self) -> &RequestContext;

    /// Reports that a request made for this one was executed. Called once for each, before its last event is sent.
    fn step_executed(&self, times: &ExecutionTimes);
}

impl RequestContext {
    /// The context of a request that arrived at `received`, with no other facts.
    pub fn new(received: Instant) -> RequestContext {
        RequestContext::with_id("".into(), received)
    }

    /// The context of a request with that id, which arrived at `received`.
    pub fn with_id(id: Arc<str>, received: Instant) -> RequestContext {
        RequestContext {
            id,
            received,
            deadline: None,
            observer: None,
            batch_size: 0,
            parent: None,
            gpu: None,
        }
    }

    /// The client's own id as it is shown in error messages.
    pub fn shown_id(&self) -> &str {
        if self.id.is_empty() { "<id_unknown>" } else { &self.id }
    }

    /// The span that the request belongs to, with which a backend continues its trace: the request's own span where it is
    /// traced, otherwise that of the client, if the client said so and the protocol had a reason to look for it.
    pub fn trace_context(&self) -> Option<TraceContext> {
        self.observer.as_ref()?.trace_context()
    }

    /// The context of a request that is made for `parent`. It inherits the parent's id and deadline. If the parent is traced,
    /// the request has a span of its own under the parent's.
    pub fn of_step(parent: Arc<dyn ParentRequest>, received: Instant) -> RequestContext {
        let RequestContext { id, deadline, observer, .. } = parent.context();
        let (id, deadline) = (Arc::clone(id), *deadline);
        let observer = observer.as_ref().and_then(|observer| observer.of_step());
        RequestContext { id, received, deadline, observer, batch_size: 0, parent: Some(parent), gpu: None }
    }
}

impl From<Instant> for RequestContext {
    fn from(received: Instant) -> RequestContext {
        RequestContext::new(received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_s_number_comes_back() {
        let back = |id| GpuNumber::new(id).map(GpuNumber::id);
        assert_eq!([0, 1, i32::MAX, -1].map(back), [Some(0), Some(1), Some(i32::MAX), None]);
        assert_eq!(size_of::<Option<GpuNumber>>(), 4);
    }
}
