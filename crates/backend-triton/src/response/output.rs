//! Outputs of responses, and their memory.

use std::ffi::c_void;

use hippocamp_backend::{Error, Result};
use parking_lot::MappedMutexGuard;
use parking_lot::MutexGuard;

use super::response_object::Output;
use super::{OutputMemory, ResponseObject};
use crate::border::{
    Handle, InOut, Kind, MAX_PARTS, MemoryType, Object, Out, Owned, Ref, Returned, Text, Use, call,
    data_type_from_number, list, misuse, own, wrong,
};
use crate::objects::BufferAttributesObject;

/// The handle of an output: that of its response, with its place there.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct OutputRef(Handle);

impl OutputRef {
    /// Calls `body` with the output.
    fn with<T>(
        self,
        body: impl FnOnce(&Use<ResponseObject>, MappedMutexGuard<'_, Output>) -> Result<T>,
    ) -> Result<T> {
        let refused = || wrong(Kind::Output, self.0);
        let response = (self.0.kind() == Some(Kind::Output)).then(|| ResponseObject::registry().get(self.0));
        let response = response.flatten().ok_or_else(refused)?;
        let content = response.content.lock();
        let output = MutexGuard::try_map(content, |content| content.outputs.get_mut(self.0.part()));
        body(&response, output.map_err(|_| refused())?)
    }
}

pub(crate) extern "C" fn new(
    response: Ref<ResponseObject>,
    output: Out<OutputRef>,
    name: Text,
    data_type: u32,
    shape: *const i64,
    dims: u32,
) -> Returned {
    call("TRITONBACKEND_ResponseOutput", || {
        let response = response.get()?;
        let names = &response.channel.names;
        let name = name.read("name")?;
        let clients = &names.interface.outputs;
        let index = clients.iter().position(|spec| *spec.name == *name).ok_or_else(|| {
            let model = names.model();
            Error::invalid_arg(format!("unexpected inference output '{name}' for model '{model}'"))
        })?;
        let data_type = data_type_from_number(data_type)
            .ok_or_else(|| misuse(format!("'datatype' is {data_type}, which is no data type")))?;
        let shape = list(shape, u64::from(dims), "shape")?.into();
        output.check("output")?;
        let mut content = response.content.lock();
        let part = content.outputs.len();
        if part >= MAX_PARTS {
            return Err(misuse(format!("a response has at most {MAX_PARTS} outputs")));
        }
        content.outputs.push(Output { index, data_type, shape, memory: None, attributes: None });
        output.set("output", OutputRef(response.handle().part_of(Kind::Output, part)))
    })
}

pub(crate) extern "C" fn buffer(
    output: OutputRef,
    buffer: Out<*mut c_void>,
    size: u64,
    memory_type: InOut<u32>,
    memory_type_id: InOut<i64>,
) -> Returned {
    call("TRITONBACKEND_OutputBuffer", || {
        buffer.check("buffer")?;
        MemoryType::from_number(memory_type.get("memory_type")?, "memory_type")?;
        memory_type_id.out().check("memory_type_id")?;
        output.with(|response, mut output| {
            if output.memory.is_some() {
                let names = &response.channel.names;
                return Err(Error::already_exists(format!(
                    "output '{}' of model '{}' has a buffer already",
                    names.interface.outputs[output.index].name,
                    names.model()
                )));
            }
            // Whatever is preferred: memory of the host is always allowed.
            memory_type.out().set("memory_type", MemoryType::Cpu.number())?;
            memory_type_id.out().set("memory_type_id", 0)?;
            let memory = output.memory.insert(OutputMemory::new(size)?);
            buffer.set("buffer", memory.address())
        })
    })
}

pub(crate) extern "C" fn buffer_attributes(
    output: OutputRef,
    attributes: Out<Ref<BufferAttributesObject>>,
) -> Returned {
    call("TRITONBACKEND_OutputBufferAttributes", || {
        output.with(|_, mut output| {
            let size = output.memory.as_ref().map(OutputMemory::size);
            let size = size.ok_or_else(|| misuse("the output has no buffer yet"))?;
            if output.attributes.is_none() {
                output.attributes = Some(own(BufferAttributesObject::of_host(size))?);
            }
            let lent = output.attributes.as_ref().map_or(Ref::NULL, Owned::as_ref);
            attributes.set("buffer_attributes", lent)
        })
    })
}
