//! Which inputs a request has, and which outputs it asks for.

use std::ffi::c_char;

use hippocamp_backend::Error;

use super::RequestObject;
use super::input::InputRef;
use crate::border::{InOut, MemoryType, Out, Ref, Returned, Text, address, call, misuse};

type Request = Ref<RequestObject>;

pub(crate) extern "C" fn input_count(request: Request, count: Out<u32>) -> Returned {
    call("TRITONBACKEND_RequestInputCount", || count.set("count", request.get()?.inputs.len() as u32))
}

pub(crate) extern "C" fn input_name(request: Request, index: u32, name: Out<*const c_char>) -> Returned {
    call("TRITONBACKEND_RequestInputName", || {
        let request = request.get()?;
        let input = request.inputs.get(index as usize).ok_or_else(|| no_input(&request, index))?;
        name.set("input_name", address(&request.names.inputs[input.index]))
    })
}

pub(crate) extern "C" fn input(request: Request, name: Text, input: Out<InputRef>) -> Returned {
    call("TRITONBACKEND_RequestInput", || {
        let request = request.get()?;
        input.set("input", InputRef::NULL)?;
        let name = name.read("name")?;
        let names = &request.names.inputs;
        let place = request.inputs.iter().position(|input| names[input.index].as_bytes() == name.as_bytes());
        let place = place.ok_or_else(|| {
            let model = request.names.model();
            Error::invalid_arg(format!(
                "unknown request input name '{name}' of a request for model '{model}'"
            ))
        })?;
        input.set("input", InputRef::of(&request, place))
    })
}

pub(crate) extern "C" fn input_by_index(request: Request, index: u32, input: Out<InputRef>) -> Returned {
    call("TRITONBACKEND_RequestInputByIndex", || {
        let request = request.get()?;
        input.set("input", InputRef::NULL)?;
        if index as usize >= request.inputs.len() {
            return Err(no_input(&request, index));
        }
        input.set("input", InputRef::of(&request, index as usize))
    })
}

#[cold]
fn no_input(request: &RequestObject, index: u32) -> Error {
    // Backends ask for the first one without asking how many there are, and clients get the error: all may be optional.
    let (id, count) = (request.id().to_string_lossy(), request.inputs.len());
    let id = if id.is_empty() { "<id_unknown>" } else { &id };
    Error::invalid_arg(format!("[request id: {id}] out of bounds index {index}: request has {count} inputs"))
}

pub(crate) extern "C" fn output_count(request: Request, count: Out<u32>) -> Returned {
    call("TRITONBACKEND_RequestOutputCount", || count.set("count", request.get()?.wanted.len() as u32))
}

pub(crate) extern "C" fn output_name(request: Request, index: u32, name: Out<*const c_char>) -> Returned {
    call("TRITONBACKEND_RequestOutputName", || {
        let request = request.get()?;
        let count = request.wanted.len();
        let output = request.wanted.get(index as usize).ok_or_else(|| {
            misuse(format!("out of bounds index {index}: request has {count} requested outputs"))
        })?;
        name.set("output_name", address(&request.names.outputs[usize::from(*output)]))
    })
}

/// Outputs are in the host's memory, whatever their size: nothing can be said before.
pub(crate) extern "C" fn output_buffer_properties(
    request: Request,
    name: Text,
    _size: InOut<usize>,
    memory_type: InOut<u32>,
    memory_type_id: InOut<i64>,
) -> Returned {
    call("TRITONBACKEND_RequestOutputBufferProperties", || {
        request.get()?;
        name.read("name")?;
        memory_type.out().set("memory_type", MemoryType::Cpu.number())?;
        memory_type_id.out().set("memory_type_id", 0)
    })
}
