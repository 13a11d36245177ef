//! What of a request is read back, taken back or said in another way. Backends that keep a request and execute it again do this.

use std::ffi::c_void;

use hippocamp_backend::{CorrelationId, Error, ParameterValue, Result};
use hippocamp_in_process::Cancel;

use super::{Content, Request, append_input_data, change, set_parameter};
use crate::border::{Out, Ref, Returned, Text, call, misuse};
use crate::objects::BufferAttributesObject;

/// Reads what a request says. Unlike a change that may be while it is executed.
fn read<T>(request: Request, read: impl FnOnce(&Content) -> Result<T>) -> Result<T> {
    read(&request.get()?.0.lock().content)
}

pub(crate) extern "C" fn flags(request: Request, flags: Out<u32>) -> Returned {
    call("TRITONSERVER_InferenceRequestFlags", || {
        flags.set("flags", read(request, |content| Ok(content.flags))?)
    })
}

pub(crate) extern "C" fn correlation_id(request: Request, id: Out<u64>) -> Returned {
    call("TRITONSERVER_InferenceRequestCorrelationId", || {
        let number = read(request, |content| match &content.correlation_id {
            None => Ok(0),
            Some(CorrelationId::Number(number)) => Ok(*number),
            Some(CorrelationId::Text(_)) => {
                Err(Error::invalid_arg("given request's correlation id is not an unsigned int"))
            }
        })?;
        id.set("correlation_id", number)
    })
}

pub(crate) extern "C" fn timeout_microseconds(request: Request, timeout: Out<u64>) -> Returned {
    call("TRITONSERVER_InferenceRequestTimeoutMicroseconds", || {
        timeout.set("timeout_us", read(request, |content| Ok(content.timeout_us))?)
    })
}

pub(crate) extern "C" fn priority(request: Request, priority: Out<u32>) -> Returned {
    call("TRITONSERVER_InferenceRequestPriority", || {
        let value = read(request, |content| Ok(content.priority))?;
        let value = u32::try_from(value)
            .map_err(|_| Error::invalid_arg(format!("the priority {value} is larger than 32 bits")))?;
        priority.set("priority", value)
    })
}

pub(crate) extern "C" fn priority_uint64(request: Request, priority: Out<u64>) -> Returned {
    call("TRITONSERVER_InferenceRequestPriorityUInt64", || {
        priority.set("priority", read(request, |content| Ok(content.priority))?)
    })
}

pub(crate) extern "C" fn set_priority(request: Request, priority: u32) -> Returned {
    call("TRITONSERVER_InferenceRequestSetPriority", || prioritize(request, priority.into()))
}

pub(crate) extern "C" fn set_priority_uint64(request: Request, priority: u64) -> Returned {
    call("TRITONSERVER_InferenceRequestSetPriorityUInt64", || prioritize(request, priority))
}

fn prioritize(request: Request, priority: u64) -> Result<()> {
    change(request, |content| {
        content.priority = priority;
        Ok(())
    })
}

pub(crate) extern "C" fn set_double_parameter(request: Request, name: Text, value: f64) -> Returned {
    call("TRITONSERVER_InferenceRequestSetDoubleParameter", || {
        set_parameter(request, name, ParameterValue::Double(value))
    })
}

/// Whether the backend has cancelled it. One that is not executed is not.
pub(crate) extern "C" fn is_cancelled(request: Request, is_cancelled: Out<bool>) -> Returned {
    call("TRITONSERVER_InferenceRequestIsCancelled", || {
        let request = request.get()?;
        let cancelled = request.0.lock().running.as_ref().is_some_and(Cancel::is_cancelled);
        is_cancelled.set("is_cancelled", cancelled)
    })
}

pub(crate) extern "C" fn remove_input(request: Request, name: Text) -> Returned {
    call("TRITONSERVER_InferenceRequestRemoveInput", || {
        let name = name.read("name")?;
        change(request, |content| {
            let place = content.inputs.iter().position(|input| *input.name == *name);
            content.inputs.remove(place.ok_or_else(|| missing(name))?);
            Ok(())
        })
    })
}

pub(crate) extern "C" fn remove_all_inputs(request: Request) -> Returned {
    call("TRITONSERVER_InferenceRequestRemoveAllInputs", || {
        change(request, |content| {
            content.inputs.clear();
            Ok(())
        })
    })
}

pub(crate) extern "C" fn remove_all_input_data(request: Request, name: Text) -> Returned {
    call("TRITONSERVER_InferenceRequestRemoveAllInputData", || {
        let name = name.read("name")?;
        change(request, |content| {
            content.input(name).ok_or_else(|| missing(name))?.segments.clear();
            Ok(())
        })
    })
}

pub(crate) extern "C" fn remove_requested_output(request: Request, name: Text) -> Returned {
    call("TRITONSERVER_InferenceRequestRemoveRequestedOutput", || {
        let name = name.read("name")?;
        change(request, |content| {
            content.outputs.retain(|output| **output != *name);
            Ok(())
        })
    })
}

pub(crate) extern "C" fn remove_all_requested_outputs(request: Request) -> Returned {
    call("TRITONSERVER_InferenceRequestRemoveAllRequestedOutputs", || {
        change(request, |content| {
            content.outputs.clear();
            Ok(())
        })
    })
}

/// The data of an input is the same under every host policy.
pub(crate) extern "C" fn append_input_data_with_host_policy(
    request: Request,
    name: Text,
    base: *const c_void,
    size: usize,
    memory_type: u32,
    memory_id: i64,
    _host_policy: Text,
) -> Returned {
    append_input_data(request, name, base, size, memory_type, memory_id)
}

pub(crate) extern "C" fn append_input_data_with_buffer_attributes(
    request: Request,
    name: Text,
    base: *const c_void,
    attributes: Ref<BufferAttributesObject>,
) -> Returned {
    let mut known = None;
    let read = call("TRITONSERVER_InferenceRequestAppendInputDataWithBufferAttributes", || {
        known = Some(attributes.get()?.read());
        Ok(())
    });
    match known {
        Some(of) => append_input_data(request, name, base, of.byte_size, of.memory_type, of.memory_type_id),
        None => read,
    }
}

fn missing(name: &str) -> Error {
    misuse(format!("input '{name}' does not exist in request"))
}
