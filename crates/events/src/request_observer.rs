//! Observers of single requests.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crate::{ModelId, RequestContext, RequestEvent, TraceContext};

/// Follows a single request: its trace, or its line in the access log. It is made by the front of a protocol and travels in the
/// request's context.
///
/// Called on the thread that causes the event, as an [`Observer`](crate::Observer) is: it must not block. A panic is caught
/// and affects no request.
pub trait RequestObserver: Send + Sync + Debug {
    /// An event of the request.
    fn on_event(&self, model: &ModelId, context: &RequestContext, event: &RequestEvent<'_>);

    /// The observer of a request that is made on behalf of this one, such as an ensemble's step. By default there is none.
    fn of_step(&self) -> Option<Arc<dyn RequestObserver>> {
        None
    }

    /// The span of the request, under which a backend may put spans of its own. By default there is none.
    fn trace_context(&self) -> Option<TraceContext> {
        None
    }

    /// Something that the backend names itself happened to the request. By default it is not noted.
    fn on_activity(&self, name: &str, at: Instant) {
        let _ = (name, at);
    }

    /// Whether [`RequestObserver::on_tensor`] is to be called. False by default.
    fn wants_tensors(&self) -> bool {
        false
    }

    /// A tensor of the request. Its bytes are those of the wire, in host memory.
    fn on_tensor(&self, tensor: &ObservedTensor<'_>) {
        let _ = tensor;
    }
}

/// A tensor as it is shown to observers.
#[derive(Clone, Copy, Debug)]
pub struct ObservedTensor<'a> {
    /// Where the tensor was met.
    pub place: TensorPlace,
    /// The name of the model's input or output.
    pub name: &'a str,
    /// The data type as KServe v2 writes it, such as `FP32`.
    pub data_type: &'static str,
    /// The shape, with the batch dimension if the model has one.
    pub shape: &'a [i64],
    /// The elements in their wire form.
    pub data: &'a [u8],
}

/// Where a tensor was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorPlace {
    /// An input, as it is queued.
    QueuedInput,
    /// An output, as the backend answers.
    Output,
}

/// Tells an observer of an event. What it leaves half done by a panic is its own.
pub(crate) fn tell(
    observer: &dyn RequestObserver,
    model: &ModelId,
    context: &RequestContext,
    event: &RequestEvent<'_>,
) {
    drop(catch_unwind(AssertUnwindSafe(|| observer.on_event(model, context, event))));
}

/// One observer for both, or the one that there is.
pub fn both(
    one: Option<Arc<dyn RequestObserver>>,
    other: Option<Arc<dyn RequestObserver>>,
) -> Option<Arc<dyn RequestObserver>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(Arc::new(Both { one, other })),
        (one, other) => one.or(other),
    }
}

#[derive(Debug)]
struct Both {
    one: Arc<dyn RequestObserver>,
    other: Arc<dyn RequestObserver>,
}

impl RequestObserver for Both {
    fn on_event(&self, model: &ModelId, context: &RequestContext, event: &RequestEvent<'_>) {
        tell(&*self.one, model, context, event);
        tell(&*self.other, model, context, event);
    }

    fn of_step(&self) -> Option<Arc<dyn RequestObserver>> {
        both(self.one.of_step(), self.other.of_step())
    }

    fn trace_context(&self) -> Option<TraceContext> {
        self.one.trace_context().or_else(|| self.other.trace_context())
    }

    fn on_activity(&self, name: &str, at: Instant) {
        self.one.on_activity(name, at);
        self.other.on_activity(name, at);
    }

    fn wants_tensors(&self) -> bool {
        self.one.wants_tensors() || self.other.wants_tensors()
    }

    fn on_tensor(&self, tensor: &ObservedTensor<'_>) {
        for observer in [&self.one, &self.other] {
            if observer.wants_tensors() {
                observer.on_tensor(tensor);
            }
        }
    }
}
