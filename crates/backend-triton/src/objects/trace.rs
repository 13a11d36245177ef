//! Traces of requests: a backend hands them on to the requests that it makes, so that these are spans below its own.

use std::ffi::{CString, c_char};
use std::sync::Arc;

use hippocamp_backend::{RequestObserver, Result};
use serde_json::json;

use crate::border::{Kind, Object, Out, Owned, Ref, Registry, Returned, Text, address, call, own, text};

/// What observes a request that is traced.
#[derive(Debug)]
pub(crate) struct TraceObject {
    observer: Arc<dyn RequestObserver>,
    /// The span, as headers of a request below it have it, in JSON; empty if it has none.
    context: CString,
}

impl Object for TraceObject {
    const KIND: Kind = Kind::InferenceTrace;

    fn registry() -> &'static Registry<Self> {
        static TRACES: Registry<TraceObject> = Registry::new(Kind::InferenceTrace);
        &TRACES
    }
}

impl TraceObject {
    fn new(observer: Arc<dyn RequestObserver>) -> TraceObject {
        let context = observer.trace_context().map(|context| {
            let parent = context.parent.to_string();
            match context.state {
                Some(state) => json!({"traceparent": parent, "tracestate": &*state}).to_string(),
                None => json!({"traceparent": parent}).to_string(),
            }
        });
        TraceObject { observer, context: text(&context.unwrap_or_default()) }
    }

    /// The trace of a request, which is there as long as that.
    pub(crate) fn of_request(observer: &Arc<dyn RequestObserver>) -> Result<Owned<TraceObject>> {
        own(TraceObject::new(Arc::clone(observer)))
    }
}

/// What observes a request that was given that trace; `None` for NULL.
pub(crate) fn observer(trace: Ref<TraceObject>) -> Result<Option<Arc<dyn RequestObserver>>> {
    if trace.is_null() { Ok(None) } else { Ok(Some(Arc::clone(&trace.get()?.observer))) }
}

/// Takes a trace that a backend has given away.
pub(crate) fn take(trace: Ref<TraceObject>) {
    // If the backend gave it away twice, it is gone already.
    drop(trace.remove_unless_null());
}

pub(crate) extern "C" fn context(trace: Ref<TraceObject>, context: Out<*const c_char>) -> Returned {
    call("TRITONSERVER_InferenceTraceContext", || {
        if trace.is_null() {
            return context.set("trace_context", c"".as_ptr());
        }
        context.set("trace_context", address(&trace.get()?.context))
    })
}

/// A trace below that one, for a request that the backend makes. The child of NULL, and of a trace that has none, is NULL.
pub(crate) extern "C" fn spawn_child_trace(
    trace: Ref<TraceObject>,
    child: Out<Ref<TraceObject>>,
) -> Returned {
    call("TRITONSERVER_InferenceTraceSpawnChildTrace", || {
        child.check("child_trace")?;
        match observer(trace)?.and_then(|observer| observer.of_step()) {
            Some(step) => child.set_new("child_trace", TraceObject::new(step)),
            None => child.set("child_trace", Ref::NULL),
        }
    })
}

/// Traces have no place for activities of backends; the call is checked and has no effect.
pub(crate) extern "C" fn report_activity(
    trace: Ref<TraceObject>,
    _timestamp: u64,
    activity: Text,
) -> Returned {
    call("TRITONSERVER_InferenceTraceReportActivity", || {
        observer(trace)?;
        activity.read("activity_name").map(drop)
    })
}
