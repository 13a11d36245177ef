//! Traces of requests: a backend hands them on to the requests that it makes, so that these are spans below its own.

use std::ffi::{CString, c_char};
use std::sync::Arc;
use std::time::Instant;

use hippocamp_backend::{RequestObserver, Result};
use serde_json::json;

use crate::border::{Kind, Object, Out, Owned, Ref, Registry, Returned, Text, address, call, own, text};
use crate::response::times;

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

/// Deletes a trace that the backend has not given away. NULL is nothing.
pub(crate) extern "C" fn delete(trace: Ref<TraceObject>) -> Returned {
    call("TRITONSERVER_InferenceTraceDelete", || trace.remove_unless_null())
}

/// Notes a moment by the backend's own name for it, at a time of the monotonic clock.
pub(crate) extern "C" fn report_activity(
    trace: Ref<TraceObject>,
    timestamp: u64,
    activity: Text,
) -> Returned {
    call("TRITONSERVER_InferenceTraceReportActivity", || {
        let name = activity.read("activity_name")?;
        if let Some(observer) = observer(trace)? {
            observer.on_activity(name, times::instant(timestamp).unwrap_or_else(Instant::now));
        }
        Ok(())
    })
}

#[cfg(test)]
#[allow(unsafe_code, reason = "calls as foreign code does")]
mod tests {
    use std::mem::transmute;

    use hippocamp_backend::{ModelId, RequestContext, RequestEvent};
    use parking_lot::Mutex;

    use super::*;

    #[derive(Debug, Default)]
    struct Noting(Mutex<Vec<(String, Instant)>>);

    impl RequestObserver for Noting {
        fn on_event(&self, _: &ModelId, _: &RequestContext, _: &RequestEvent<'_>) {}

        fn on_activity(&self, name: &str, at: Instant) {
            self.0.lock().push((name.to_owned(), at));
        }
    }

    #[test]
    fn activities_of_a_backend_are_noted_with_their_times() {
        let noting = Arc::new(Noting::default());
        let observer: Arc<dyn RequestObserver> = Arc::clone(&noting) as _;
        let trace = TraceObject::of_request(&observer).unwrap();
        // SAFETY: a `Text` is such a pointer.
        let name = || unsafe { transmute::<*const c_char, Text>(c"READ_START".as_ptr()) };
        assert!(report_activity(trace.as_ref(), 1_000, name()).is_null());
        assert!(report_activity(trace.as_ref(), 4_000, name()).is_null());
        assert!(report_activity(Ref::NULL, 1, name()).is_null(), "a request that is not traced");
        let noted = noting.0.lock();
        let [(first, begun), (_, ended)] = &noted[..] else { panic!("{noted:?}") };
        assert_eq!((first.as_str(), (*ended - *begun).as_nanos()), ("READ_START", 3_000));
    }
}
