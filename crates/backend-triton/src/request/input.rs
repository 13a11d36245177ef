//! The inputs of a request: shapes, and the segments that their bytes are in.

#![allow(clippy::too_many_arguments, reason = "so many has the interface")]

use std::ffi::{c_char, c_void};
use std::ptr;

use hippocamp_backend::{Error, InputTensor, Result};
use hippocamp_batching::model_shape;
use hippocamp_tensor::{HostSegments, Place, Shape};
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::RequestObject;
use crate::border::{
    Handle, Kind, MAX_PARTS, MemoryType, Object, Out, Owned, Ref, Returned, Text, Use, address, call,
    data_type_number, own, wrong,
};
use crate::life::TensorNames;
use crate::objects::BufferAttributesObject;

/// An input that is there.
#[derive(Debug)]
pub(crate) struct Input {
    /// The place in the model's list of inputs.
    pub(crate) index: usize,
    /// As the model sees it.
    shape: Shape,
    /// One segment is one buffer of the backend's.
    data: HostSegments,
    attributes: Mutex<Vec<(u32, Owned<BufferAttributesObject>)>>,
}

impl Input {
    /// The inputs that are there. Bytes at other places are brought to the host's memory, also those that a client shares: it may
    /// take its memory away at any moment, which a foreign library does not survive.
    pub(crate) fn all(inputs: &[Option<InputTensor>], names: &TensorNames) -> Result<SmallVec<[Input; 4]>> {
        let interface = &names.interface;
        let there = interface.all_inputs().zip(inputs).enumerate();
        let there = there.filter_map(|(index, (spec, input))| Some((index, spec, input.as_ref()?)));
        let mut all = SmallVec::new();
        for (index, spec, input) in there {
            let data = match input.data.place() {
                Place::Host if input.data.as_segments().is_some() => input.data.clone().into_host(),
                _ => input.data.to_host().map(HostSegments::from),
            };
            let data = data.map_err(|error| Error::of_memory(names.model(), error))?;
            let batched = interface.max_batch_size > 0 && !spec.is_shape_tensor;
            let shape = model_shape(spec, input.shape.clone(), batched);
            all.push(Input { index, shape, data, attributes: Mutex::default() });
        }
        if all.len() > MAX_PARTS {
            return Err(Error::unsupported(format!(
                "model '{}' has {} inputs, a backend can be given at most {MAX_PARTS}",
                names.model(),
                all.len()
            )));
        }
        Ok(all)
    }

    /// A buffer; that behind the last one is empty.
    fn chunk(&self, index: u32) -> &[u8] {
        self.data.as_slice().get(index as usize).map_or(&[], |segment| segment)
    }
}

/// The handle of an input: that of its request, with its place in the list of those that are there.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct InputRef(Handle);

impl InputRef {
    pub(super) fn of(request: &Use<RequestObject>, place: usize) -> InputRef {
        InputRef(request.handle().part_of(Kind::Input, place))
    }

    pub(super) const NULL: InputRef = InputRef(Handle::NULL);

    fn with<T>(self, body: impl FnOnce(&RequestObject, &Input) -> Result<T>) -> Result<T> {
        let refused = || wrong(Kind::Input, self.0);
        let request = (self.0.kind() == Some(Kind::Input)).then(|| RequestObject::registry().get(self.0));
        let request = request.flatten().ok_or_else(refused)?;
        let input = request.inputs.get(self.0.part()).ok_or_else(refused)?;
        body(&request, input)
    }
}

fn properties_of(
    input: InputRef,
    name: Out<*const c_char>,
    data_type: Out<u32>,
    shape: Out<*const i64>,
    dims: Out<u32>,
    size: Out<u64>,
    buffers: Out<u32>,
) -> Result<()> {
    input.with(|request, input| {
        let spec = request.names.interface.all_inputs().nth(input.index);
        name.set_if_wanted(address(&request.names.inputs[input.index]));
        data_type.set_if_wanted(spec.map_or(0, |spec| data_type_number(spec.data_type)));
        shape.set_if_wanted(input.shape.as_ptr());
        dims.set_if_wanted(input.shape.len() as u32);
        size.set_if_wanted(input.data.len() as u64);
        buffers.set_if_wanted(input.data.as_slice().len() as u32);
        Ok(())
    })
}

pub(crate) extern "C" fn properties(
    input: InputRef,
    name: Out<*const c_char>,
    data_type: Out<u32>,
    shape: Out<*const i64>,
    dims: Out<u32>,
    size: Out<u64>,
    buffers: Out<u32>,
) -> Returned {
    call("TRITONBACKEND_InputProperties", || {
        properties_of(input, name, data_type, shape, dims, size, buffers)
    })
}

/// The data is the same for every host policy.
pub(crate) extern "C" fn properties_for_host_policy(
    input: InputRef,
    _policy: Text,
    name: Out<*const c_char>,
    data_type: Out<u32>,
    shape: Out<*const i64>,
    dims: Out<u32>,
    size: Out<u64>,
    buffers: Out<u32>,
) -> Returned {
    call("TRITONBACKEND_InputPropertiesForHostPolicy", || {
        properties_of(input, name, data_type, shape, dims, size, buffers)
    })
}

fn buffer_of(
    input: InputRef,
    index: u32,
    buffer: Out<*const c_void>,
    size: Out<u64>,
    memory_type: Out<u32>,
    memory_type_id: Out<i64>,
) -> Result<()> {
    input.with(|_, input| {
        let chunk = input.chunk(index);
        let start = if chunk.is_empty() { ptr::null() } else { chunk.as_ptr().cast() };
        size.set("buffer_byte_size", chunk.len() as u64)?;
        memory_type.set("memory_type", MemoryType::Cpu.number())?;
        memory_type_id.set("memory_type_id", 0)?;
        buffer.set("buffer", start)
    })
}

pub(crate) extern "C" fn buffer(
    input: InputRef,
    index: u32,
    buffer: Out<*const c_void>,
    size: Out<u64>,
    memory_type: Out<u32>,
    memory_type_id: Out<i64>,
) -> Returned {
    call("TRITONBACKEND_InputBuffer", || buffer_of(input, index, buffer, size, memory_type, memory_type_id))
}

pub(crate) extern "C" fn buffer_for_host_policy(
    input: InputRef,
    _policy: Text,
    index: u32,
    buffer: Out<*const c_void>,
    size: Out<u64>,
    memory_type: Out<u32>,
    memory_type_id: Out<i64>,
) -> Returned {
    call("TRITONBACKEND_InputBufferForHostPolicy", || {
        buffer_of(input, index, buffer, size, memory_type, memory_type_id)
    })
}

pub(crate) extern "C" fn buffer_attributes(
    input: InputRef,
    index: u32,
    buffer: Out<*const c_void>,
    attributes: Out<Ref<BufferAttributesObject>>,
) -> Returned {
    call("TRITONBACKEND_InputBufferAttributes", || {
        input.with(|_, input| {
            let chunk = input.chunk(index);
            let mut made = input.attributes.lock();
            if !made.iter().any(|(of, _)| *of == index) {
                made.push((index, own(BufferAttributesObject::of_host(chunk.len()))?));
            }
            let lent = made.iter().find(|(of, _)| *of == index);
            let lent = lent.map_or(Ref::NULL, |(_, owned)| owned.as_ref());
            let start = if chunk.is_empty() { ptr::null() } else { chunk.as_ptr().cast() };
            attributes.check("buffer_attributes")?;
            buffer.set("buffer", start)?;
            attributes.set("buffer_attributes", lent)
        })
    })
}
