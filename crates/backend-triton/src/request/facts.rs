//! What accompanies the tensors of a request.

use std::ffi::c_char;

use super::RequestObject;
use crate::border::{Out, Ref, Returned, address, call};
use crate::objects::TraceObject;

type Request = Ref<RequestObject>;

pub(crate) extern "C" fn id(request: Request, id: Out<*const c_char>) -> Returned {
    call("TRITONBACKEND_RequestId", || id.set("id", address(request.get()?.id())))
}

pub(crate) extern "C" fn flags(request: Request, flags: Out<u32>) -> Returned {
    call("TRITONBACKEND_RequestFlags", || flags.set("flags", request.get()?.flags()))
}

pub(crate) extern "C" fn timeout_microseconds(request: Request, timeout: Out<u64>) -> Returned {
    call("TRITONBACKEND_InferenceRequestTimeoutMicroseconds", || {
        let wanted = request.get()?.timeout.map_or(0, |timeout| timeout.as_micros());
        timeout.set("timeout_us", u64::try_from(wanted).unwrap_or(u64::MAX))
    })
}

pub(crate) extern "C" fn is_cancelled(request: Request, cancelled: Out<bool>) -> Returned {
    call("TRITONBACKEND_RequestIsCancelled", || {
        cancelled.set("is_cancelled", request.get()?.channel.is_cancelled())
    })
}

/// The trace lives as long as the request.
pub(crate) extern "C" fn trace(request: Request, trace: Out<Ref<TraceObject>>) -> Returned {
    call("TRITONBACKEND_RequestTrace", || trace.set("trace", request.get()?.trace()))
}
