//! Responses to requests that backends made.

use std::ffi::{CString, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use hippocamp_backend::{Error, InProcessResponse, Result};

use super::allocator::{Allocation, Buffer, name_of};
use super::gpus::Gpus;
use crate::border::{
    Kind, Object, Out, Ref, Registry, Returned, address, call, data_type_number, misuse, text,
};
use crate::objects::ErrorObject;
use crate::objects::parameter::LentValue;

/// A response that a backend has got, until it deletes it. The outputs are in its own buffers.
#[derive(Debug)]
pub(crate) struct InferenceResponseObject {
    allocation: Allocation,
    error: Option<Error>,
    outputs: Vec<Output>,
    parameters: Vec<(CString, LentValue)>,
}

#[derive(Debug)]
struct Output {
    name: CString,
    data_type: u32,
    shape: Box<[i64]>,
    buffer: Buffer,
}

impl Object for InferenceResponseObject {
    const KIND: Kind = Kind::InferenceResponse;

    fn registry() -> &'static Registry<Self> {
        static ALL: Registry<InferenceResponseObject> = Registry::new(Kind::InferenceResponse);
        &ALL
    }
}

impl InferenceResponseObject {
    /// The response, with its outputs in buffers of the backend. If that fails, it is a response with that error, and what was
    /// allocated is given back.
    pub(crate) fn of(
        response: InProcessResponse,
        allocation: Allocation,
        gpus: &Gpus,
    ) -> InferenceResponseObject {
        let filled = catch_unwind(AssertUnwindSafe(|| {
            let mut object = InferenceResponseObject::empty(allocation);
            object.fill(response, gpus).map(|()| object)
        }));
        // The backend waits for its response, whatever became of it here. A panic was reported where it happened.
        let panicked = |_| Err(Error::internal("the outputs of a response could not be handed over"));
        filled
            .unwrap_or_else(panicked)
            .unwrap_or_else(|error| InferenceResponseObject::of_error(error, allocation))
    }

    pub(crate) fn of_error(error: Error, allocation: Allocation) -> InferenceResponseObject {
        let mut object = InferenceResponseObject::empty(allocation);
        object.error = Some(error);
        object
    }

    fn empty(allocation: Allocation) -> InferenceResponseObject {
        InferenceResponseObject { allocation, error: None, outputs: Vec::new(), parameters: Vec::new() }
    }

    fn fill(&mut self, response: InProcessResponse, gpus: &Gpus) -> Result<()> {
        self.allocation.start()?;
        for output in response.outputs {
            let name = name_of(&output.name);
            let buffer = self.allocation.buffer(&name, output.data.len())?;
            let (data_type, shape) = (data_type_number(output.data_type), (&*output.shape).into());
            // From here on it is given back, whatever happens.
            self.outputs.push(Output { name, data_type, shape, buffer });
            if let Some(filled) = self.outputs.last_mut() {
                filled.buffer.fill(&output.data, gpus)?;
            }
        }
        let parameters = response.parameters.iter();
        self.parameters = parameters.map(|(name, value)| (text(name), LentValue::of(value))).collect();
        Ok(())
    }
}

impl Drop for InferenceResponseObject {
    fn drop(&mut self) {
        for output in &self.outputs {
            self.allocation.give_back(&output.buffer);
        }
    }
}

type Response = Ref<InferenceResponseObject>;

/// A new error, which belongs to the caller.
pub(crate) extern "C" fn error(response: Response) -> Returned {
    const NAME: &str = "TRITONSERVER_InferenceResponseError";
    let mut of_response = Returned::NULL;
    let called = call(NAME, || {
        if let Some(error) = &response.get()?.error {
            of_response = ErrorObject::handle_of(error);
        }
        Ok(())
    });
    if called.is_null() { of_response } else { called }
}

pub(crate) extern "C" fn output_count(response: Response, count: Out<u32>) -> Returned {
    call("TRITONSERVER_InferenceResponseOutputCount", || {
        count.set("count", response.get()?.outputs.len() as u32)
    })
}

#[allow(clippy::too_many_arguments, reason = "as in the interface")]
pub(crate) extern "C" fn output(
    response: Response,
    index: u32,
    name: Out<*const c_char>,
    data_type: Out<u32>,
    shape: Out<*const i64>,
    dims: Out<u64>,
    base: Out<*const c_void>,
    size: Out<usize>,
    memory_type: Out<u32>,
    memory_id: Out<i64>,
    userp: Out<*mut c_void>,
) -> Returned {
    call("TRITONSERVER_InferenceResponseOutput", || {
        let response = response.get()?;
        let count = response.outputs.len();
        let output = response.outputs.get(index as usize).ok_or_else(|| {
            misuse(format!("out of bounds index {index}: the response has {count} outputs"))
        })?;
        name.set("name", address(&output.name))?;
        data_type.set("datatype", output.data_type)?;
        shape.set("shape", output.shape.as_ptr())?;
        dims.set("dim_count", output.shape.len() as u64)?;
        base.set("base", output.buffer.start.pointer().cast_const())?;
        size.set("byte_size", output.buffer.size)?;
        memory_type.set("memory_type", output.buffer.memory_type)?;
        memory_id.set("memory_type_id", output.buffer.memory_id)?;
        userp.set("userp", output.buffer.userp.pointer())
    })
}

pub(crate) extern "C" fn parameter_count(response: Response, count: Out<u32>) -> Returned {
    call("TRITONSERVER_InferenceResponseParameterCount", || {
        count.set("count", response.get()?.parameters.len() as u32)
    })
}

pub(crate) extern "C" fn parameter(
    response: Response,
    index: u32,
    name: Out<*const c_char>,
    kind: Out<u32>,
    value: Out<*const c_void>,
) -> Returned {
    call("TRITONSERVER_InferenceResponseParameter", || {
        let response = response.get()?;
        let count = response.parameters.len();
        let (of_response, content) = response.parameters.get(index as usize).ok_or_else(|| {
            misuse(format!("out of bounds index {index}: the response has {count} parameters"))
        })?;
        content.write(kind, value)?;
        name.set("name", address(of_response))
    })
}

/// The buffers go back to the backend's allocator. NULL is nothing.
pub(crate) extern "C" fn delete(response: Response) -> Returned {
    call("TRITONSERVER_InferenceResponseDelete", || response.remove_unless_null())
}
