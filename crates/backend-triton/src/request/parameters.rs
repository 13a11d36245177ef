//! The parameters of a request.

use std::ffi::{CString, c_char, c_void};

use super::RequestObject;
use crate::border::{Out, Ref, Returned, address, call, misuse, text};
use crate::objects::parameter::LentValue;

fn lent(request: &RequestObject) -> &[(CString, LentValue)] {
    request.lent.parameters.get_or_init(|| {
        request.parameters.iter().map(|(name, value)| (text(name), LentValue::of(value))).collect()
    })
}

pub(crate) extern "C" fn count(request: Ref<RequestObject>, count: Out<u32>) -> Returned {
    call("TRITONBACKEND_RequestParameterCount", || {
        let request = request.get()?;
        let all = if request.parameters.is_empty() { 0 } else { lent(&request).len() };
        count.set("count", all as u32)
    })
}

pub(crate) extern "C" fn parameter(
    request: Ref<RequestObject>,
    index: u32,
    name: Out<*const c_char>,
    kind: Out<u32>,
    value: Out<*const c_void>,
) -> Returned {
    call("TRITONBACKEND_RequestParameter", || {
        let request = request.get()?;
        let all = lent(&request);
        let (of_request, content) = all.get(index as usize).ok_or_else(|| {
            misuse(format!("out of bounds index {index}: request has {} parameters", all.len()))
        })?;
        content.write(kind, value)?;
        name.set("key", address(of_request))
    })
}
