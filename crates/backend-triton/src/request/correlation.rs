//! Correlation ids, which are numbers or texts.

use std::ffi::c_char;

use hippocamp_backend::{CorrelationId, Error};

use super::RequestObject;
use crate::border::{Out, Ref, Returned, address, call, text};

pub(crate) extern "C" fn number(request: Ref<RequestObject>, id: Out<u64>) -> Returned {
    call("TRITONBACKEND_RequestCorrelationId", || match request.get()?.correlation_id() {
        None => id.set("id", 0),
        Some(CorrelationId::Number(number)) => id.set("id", *number),
        Some(CorrelationId::Text(_)) => {
            Err(Error::invalid_arg("correlation ID in request is not an unsigned int"))
        }
    })
}

pub(crate) extern "C" fn string(request: Ref<RequestObject>, id: Out<*const c_char>) -> Returned {
    call("TRITONBACKEND_RequestCorrelationIdString", || {
        let request = request.get()?;
        let Some(CorrelationId::Text(of_request)) = request.correlation_id() else {
            return Err(Error::invalid_arg("correlation ID in request is not a string"));
        };
        id.set("id", address(request.lent.correlation_id.get_or_init(|| text(of_request))))
    })
}
