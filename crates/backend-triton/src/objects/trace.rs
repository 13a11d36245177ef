//! Calls about traces. Requests of backends are traced by the server itself; a backend adds nothing to that, and is told
//! that there is no trace.

use std::ffi::c_char;

use crate::border::{Kind, Object, Out, Ref, Registry, Returned, Text, call};

/// There is none: backends get NULL.
#[derive(Debug)]
pub(crate) struct TraceObject;

impl Object for TraceObject {
    const KIND: Kind = Kind::InferenceTrace;

    fn registry() -> &'static Registry<Self> {
        static TRACES: Registry<TraceObject> = Registry::new(Kind::InferenceTrace);
        &TRACES
    }
}

pub(crate) extern "C" fn context(_: Ref<TraceObject>, context: Out<*const c_char>) -> Returned {
    call("TRITONSERVER_InferenceTraceContext", || context.set("context", c"".as_ptr()))
}

pub(crate) extern "C" fn spawn_child_trace(_: Ref<TraceObject>, child: Out<Ref<TraceObject>>) -> Returned {
    call("TRITONSERVER_InferenceTraceSpawnChildTrace", || child.set("child_trace", Ref::NULL))
}

pub(crate) extern "C" fn report_activity(_: Ref<TraceObject>, _timestamp: u64, activity: Text) -> Returned {
    call("TRITONSERVER_InferenceTraceReportActivity", || activity.read("activity_name").map(drop))
}
