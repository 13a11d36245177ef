//! Requests that backends make.

pub(crate) mod amendments;
mod content;

use std::ffi::c_void;

use hippocamp_backend::{CorrelationId, Error, ParameterValue, Result};
use hippocamp_in_process::Cancel;
use parking_lot::{Mutex, MutexGuard};

use super::allocator::{Allocation, AllocatorObject, gpu_of};
use super::answer::{ReleaseTo, ResponseTo};
use super::callbacks::{Opaque, Released, Responded};
use super::lending::Segment;
use super::server::{ServerObject, version_of};
use crate::border::{
    Kind, Object, Out, Ref, Registry, Returned, Text, call, data_type_from_number, list, misuse,
};
pub(crate) use content::Content;
use content::GivenInput;

/// A request of a backend to a model, until the backend deletes it.
#[derive(Debug)]
pub(crate) struct InferenceRequestObject(Mutex<State>);

#[derive(Debug)]
struct State {
    content: Content,
    /// While the request is executed: then the backend may cancel it, and nothing else.
    running: Option<Cancel>,
    is_deleted: bool,
}

impl Object for InferenceRequestObject {
    const KIND: Kind = Kind::InferenceRequest;

    fn registry() -> &'static Registry<Self> {
        static ALL: Registry<InferenceRequestObject> = Registry::new(Kind::InferenceRequest);
        &ALL
    }
}

impl InferenceRequestObject {
    /// Begins an execution, unless one runs already. `begin` gets what the request says; if it fails, nothing has begun.
    pub(crate) fn execute(&self, cancel: Cancel, begin: impl FnOnce(&Content) -> Result<()>) -> Result<()> {
        // It may have ended, and been deleted, before `begin` returns: the lock is not held then.
        let content = {
            let mut state = self.idle()?;
            state.running = Some(cancel);
            state.content.clone()
        };
        let outcome = begin(&content);
        if outcome.is_err() {
            self.0.lock().running = None;
        }
        outcome
    }

    /// The execution is over, and nothing of the request is lent any more.
    pub(crate) fn released(request: Ref<InferenceRequestObject>) {
        if let Ok(request) = request.get() {
            request.0.lock().running = None;
        }
    }

    /// The state of a request that is not executed.
    fn idle(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.0.lock();
        if state.is_deleted {
            return Err(misuse("the request was deleted before"));
        }
        if state.running.is_some() {
            return Err(misuse("the request is being executed, and was not released yet"));
        }
        Ok(state)
    }
}

type Request = Ref<InferenceRequestObject>;

/// Changes a request.
fn change(request: Request, change: impl FnOnce(&mut Content) -> Result<()>) -> Result<()> {
    change(&mut request.get()?.idle()?.content)
}

pub(crate) extern "C" fn new(
    request: Out<Request>,
    server: Ref<ServerObject>,
    model: Text,
    version: i64,
) -> Returned {
    call("TRITONSERVER_InferenceRequestNew", || {
        let (model, version) = (model.read("model_name")?, version_of(version)?);
        let server = server.get()?;
        let called = server.server()?.model(model, version)?;
        let content = Content::new(model, version, called.into(), server.gpus());
        let state = State { content, running: None, is_deleted: false };
        request.set_new("inference_request", InferenceRequestObject(Mutex::new(state)))
    })
}

/// NULL is nothing. A request that is being executed stays.
pub(crate) extern "C" fn delete(request: Request) -> Returned {
    call("TRITONSERVER_InferenceRequestDelete", || {
        if request.is_null() {
            return Ok(());
        }
        request.get()?.idle()?.is_deleted = true;
        request.remove().map(drop)
    })
}

pub(crate) extern "C" fn set_id(request: Request, id: Text) -> Returned {
    call("TRITONSERVER_InferenceRequestSetId", || {
        let id = id.read("id")?;
        change(request, |content| {
            content.id = id.into();
            Ok(())
        })
    })
}

pub(crate) extern "C" fn set_flags(request: Request, flags: u32) -> Returned {
    call("TRITONSERVER_InferenceRequestSetFlags", || {
        change(request, |content| {
            content.flags = flags;
            Ok(())
        })
    })
}

pub(crate) extern "C" fn set_correlation_id(request: Request, id: u64) -> Returned {
    call("TRITONSERVER_InferenceRequestSetCorrelationId", || {
        change(request, |content| {
            content.correlation_id = (id != 0).then_some(CorrelationId::Number(id));
            Ok(())
        })
    })
}

pub(crate) extern "C" fn set_correlation_id_string(request: Request, id: Text) -> Returned {
    /// As for clients.
    const LONGEST: usize = 128;
    call("TRITONSERVER_InferenceRequestSetCorrelationIdString", || {
        let id = id.read("correlation_id")?;
        if id.len() > LONGEST {
            let (longest, size) = (LONGEST, id.len());
            return Err(Error::invalid_arg(format!(
                "string correlation ID cannot be longer than {longest} characters, it has {size}"
            )));
        }
        change(request, |content| {
            content.correlation_id = (!id.is_empty()).then(|| CorrelationId::Text(id.into()));
            Ok(())
        })
    })
}

pub(crate) extern "C" fn set_timeout_microseconds(request: Request, timeout: u64) -> Returned {
    call("TRITONSERVER_InferenceRequestSetTimeoutMicroseconds", || {
        change(request, |content| {
            content.timeout_us = timeout;
            Ok(())
        })
    })
}

fn set_parameter(request: Request, name: Text, value: ParameterValue) -> Result<()> {
    let name = name.read("key")?.to_owned();
    change(request, |content| {
        content.parameters.set(name, value);
        Ok(())
    })
}

pub(crate) extern "C" fn set_string_parameter(request: Request, name: Text, value: Text) -> Returned {
    call("TRITONSERVER_InferenceRequestSetStringParameter", || {
        let value = value.read("value")?.to_owned();
        set_parameter(request, name, ParameterValue::String(value.into()))
    })
}

pub(crate) extern "C" fn set_int_parameter(request: Request, name: Text, value: i64) -> Returned {
    call("TRITONSERVER_InferenceRequestSetIntParameter", || {
        set_parameter(request, name, ParameterValue::Int64(value))
    })
}

pub(crate) extern "C" fn set_bool_parameter(request: Request, name: Text, value: u8) -> Returned {
    call("TRITONSERVER_InferenceRequestSetBoolParameter", || {
        set_parameter(request, name, ParameterValue::Bool(value != 0))
    })
}

pub(crate) extern "C" fn add_requested_output(request: Request, name: Text) -> Returned {
    call("TRITONSERVER_InferenceRequestAddRequestedOutput", || {
        let name = name.read("name")?;
        change(request, |content| {
            content.outputs.push(name.into());
            Ok(())
        })
    })
}

pub(crate) extern "C" fn add_input(
    request: Request,
    name: Text,
    data_type: u32,
    shape: *const i64,
    dims: u64,
) -> Returned {
    call("TRITONSERVER_InferenceRequestAddInput", || {
        let name = name.read("name")?;
        let data_type = data_type_from_number(data_type)
            .ok_or_else(|| misuse(format!("'datatype' of input '{name}' is {data_type}, which is none")))?;
        let shape = list(shape, dims, "shape")?;
        change(request, |content| {
            if content.input(name).is_some() {
                return Err(Error::invalid_arg(format!("input '{name}' already exists in request")));
            }
            let shape = shape.iter().copied().collect();
            content.inputs.push(GivenInput { name: name.into(), data_type, shape, segments: Vec::new() });
            Ok(())
        })
    })
}

/// The bytes are lent until the request is released.
pub(crate) extern "C" fn append_input_data(
    request: Request,
    name: Text,
    base: *const c_void,
    size: usize,
    memory_type: u32,
    memory_id: i64,
) -> Returned {
    call("TRITONSERVER_InferenceRequestAppendInputData", || {
        let name = name.read("name")?;
        let gpu = gpu_of(memory_type, memory_id)?;
        if base.is_null() && size > 0 {
            return Err(misuse("'base' is NULL"));
        }
        if size > isize::MAX as usize {
            return Err(misuse(format!("'byte_size' is {size}, which is larger than any memory")));
        }
        change(request, |content| {
            if let Some(gpu) = gpu {
                content.gpus.check(gpu).map_err(|error| {
                    let text = format!("input '{name}': {}", error.message());
                    error.with_message(text)
                })?;
            }
            let input = content.input(name);
            let input = input
                .ok_or_else(|| Error::invalid_arg(format!("input '{name}' does not exist in request")))?;
            let segment = Segment { start: base.expose_provenance(), size, gpu };
            input.segments.extend((size > 0).then_some(segment));
            Ok(())
        })
    })
}

pub(crate) extern "C" fn set_release_callback(
    request: Request,
    callback: Option<Released>,
    userp: *mut c_void,
) -> Returned {
    call("TRITONSERVER_InferenceRequestSetReleaseCallback", || {
        let callback = callback.ok_or_else(|| misuse("'request_release_fn' is NULL"))?;
        change(request, |content| {
            content.release = Some(ReleaseTo { callback, userp: Opaque::of(userp) });
            Ok(())
        })
    })
}

pub(crate) extern "C" fn set_response_callback(
    request: Request,
    allocator: Ref<AllocatorObject>,
    allocator_userp: *mut c_void,
    callback: Option<Responded>,
    userp: *mut c_void,
) -> Returned {
    call("TRITONSERVER_InferenceRequestSetResponseCallback", || {
        let callback = callback.ok_or_else(|| misuse("'response_fn' is NULL"))?;
        let allocation = Allocation::of(allocator, Opaque::of(allocator_userp))?;
        change(request, |content| {
            content.response = Some(ResponseTo { allocation, callback, userp: Opaque::of(userp) });
            Ok(())
        })
    })
}

/// Asks the model to stop. The last response comes all the same.
pub(crate) extern "C" fn cancel(request: Request) -> Returned {
    call("TRITONSERVER_InferenceRequestCancel", || {
        let request = request.get()?;
        let state = request.0.lock();
        let running = state.running.as_ref();
        running.ok_or_else(|| misuse("the request is not being executed"))?.cancel();
        Ok(())
    })
}
