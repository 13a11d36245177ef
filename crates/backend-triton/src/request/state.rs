//! Implicit states: tensors that the next request of the sequence gets.

use std::ffi::c_void;

use hippocamp_backend::{Error, OutputTensor, Result};
use hippocamp_tensor::{DataType, Shape, TensorData};
use parking_lot::{MappedMutexGuard, MutexGuard};

use super::RequestObject;
use crate::border::{
    Handle, InOut, Kind, MAX_PARTS, MemoryType, Object, Out, Owned, Ref, Returned, Text, Use, call,
    data_type_from_number, list, misuse, own, wrong,
};
use crate::objects::BufferAttributesObject;
use crate::response::OutputMemory;

/// The next value of a state while the backend writes it.
#[derive(Debug)]
pub(crate) struct StateTensor {
    /// The place in the model's list of outputs.
    index: usize,
    data_type: DataType,
    shape: Shape,
    memory: Option<OutputMemory>,
    attributes: Option<Owned<BufferAttributesObject>>,
}

/// The handle of a state: that of its request, with its place there.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct StateRef(Handle);

impl StateRef {
    fn with<T>(
        self,
        body: impl FnOnce(&Use<RequestObject>, MappedMutexGuard<'_, StateTensor>) -> Result<T>,
    ) -> Result<T> {
        let refused = || wrong(Kind::State, self.0);
        let request = (self.0.kind() == Some(Kind::State)).then(|| RequestObject::registry().get(self.0));
        let request = request.flatten().ok_or_else(refused)?;
        let state = MutexGuard::try_map(request.states.lock(), |states| states.get_mut(self.0.part()));
        body(&request, state.map_err(|_| refused())?)
    }
}

pub(crate) extern "C" fn new(
    state: Out<StateRef>,
    request: Ref<RequestObject>,
    name: Text,
    data_type: u32,
    shape: *const i64,
    dims: u32,
) -> Returned {
    call("TRITONBACKEND_StateNew", || {
        let request = request.get()?;
        let (name, names) = (name.read("name")?, &request.names);
        let index =
            names.states.iter().copied().find(|&output| names.outputs[output].as_bytes() == name.as_bytes());
        let index = index.ok_or_else(|| {
            Error::invalid_arg(format!("model '{}' has no state with the output '{name}'", names.model()))
        })?;
        let data_type = data_type_from_number(data_type)
            .ok_or_else(|| misuse(format!("'datatype' is {data_type}, which is no data type")))?;
        let expected = names.output(index).data_type;
        if data_type != expected {
            return Err(Error::invalid_arg(format!(
                "state '{name}' of model '{}' has type {}, its backend gives a value of type {}",
                names.model(),
                expected.protocol_name(),
                data_type.protocol_name()
            )));
        }
        let shape = Shape::from(&*list(shape, u64::from(dims), "shape")?);
        state.check("state")?;
        let mut states = request.states.lock();
        let part = states.len();
        if part >= MAX_PARTS {
            return Err(misuse(format!("a request has at most {MAX_PARTS} states")));
        }
        states.push(StateTensor { index, data_type, shape, memory: None, attributes: None });
        state.set("state", StateRef(request.handle().part_of(Kind::State, part)))
    })
}

pub(crate) extern "C" fn buffer(
    state: StateRef,
    buffer: Out<*mut c_void>,
    size: u64,
    memory_type: InOut<u32>,
    memory_type_id: InOut<i64>,
) -> Returned {
    call("TRITONBACKEND_StateBuffer", || {
        buffer.check("buffer")?;
        state.with(|_, mut state| {
            memory_type.out().set("memory_type", MemoryType::Cpu.number())?;
            memory_type_id.out().set("memory_type_id", 0)?;
            // Asked for again, it stays what it is: the backend may be writing to it.
            let same = state.memory.as_ref().is_some_and(|memory| memory.size() as u64 == size);
            if !same {
                state.memory = Some(OutputMemory::new(size)?);
                // Those that were made say another size.
                state.attributes = None;
            }
            buffer.set("buffer", state.memory.as_ref().map_or(std::ptr::null_mut(), OutputMemory::address))
        })
    })
}

pub(crate) extern "C" fn buffer_attributes(
    state: StateRef,
    attributes: Out<Ref<BufferAttributesObject>>,
) -> Returned {
    call("TRITONBACKEND_StateBufferAttributes", || {
        state.with(|_, mut state| {
            let size = state.memory.as_ref().map(OutputMemory::size);
            let size = size.ok_or_else(|| misuse("the state has no buffer yet"))?;
            if state.attributes.is_none() {
                state.attributes = Some(own(BufferAttributesObject::of_host(size))?);
            }
            let lent = state.attributes.as_ref().map_or(Ref::NULL, Owned::as_ref);
            attributes.set("buffer_attributes", lent)
        })
    })
}

/// Makes the value the next one of the sequence. It is written no more.
pub(crate) extern "C" fn update(state: StateRef) -> Returned {
    call("TRITONBACKEND_StateUpdate", || {
        state.with(|request, mut state| {
            let (memory, names) = (state.memory.take(), &request.names);
            let size = memory.as_ref().map_or(0, OutputMemory::size);
            let name = &names.output(state.index).name;
            crate::response::check_size(names.model(), name, state.data_type, &state.shape, size)?;
            let data = memory.map_or_else(TensorData::default, |memory| memory.freeze().into());
            request.channel.update_state(OutputTensor {
                index: state.index,
                shape: state.shape.clone(),
                data,
                data_type: None,
            })
        })
    })
}
