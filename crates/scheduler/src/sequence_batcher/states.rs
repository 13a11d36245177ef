//! Implicit state: tensors that the model returns with one request of a sequence and receives with the next.
//!
//! Each START creates a new set of states for its sequence, which the requests of the sequence share. So a late
//! response of an old sequence cannot change the states of a new one in the same slot.

use std::sync::Arc;

use bytes::Bytes;
use hippocamp_backend::{Error, InputTensor, Response, Result, WantedOutputs};
use hippocamp_model_config::{Interface, data_type};
use hippocamp_proto::inference::ModelSequenceBatching;
use hippocamp_proto::inference::model_sequence_batching::{State, initial_state::StateData};
use hippocamp_tensor::{BytesElements, DataType, LENGTH_PREFIX, Place, Shape, TensorData};
use parking_lot::Mutex;
use smallvec::SmallVec;
use tracing::warn;

/// States of up to this many bytes are copied out of the batch's output, so that they do not keep the whole buffer
/// alive.
const COPIED: usize = 64 << 10;

/// The most bytes of the initial values of a model's states together, as of the file of one. A config, which may come with a
/// client's load request, says how large they are.
const MAX_INITIAL: usize = 1 << 30;

/// A state's data, made to outlive its response: device memory is kept where it is, host data in memory that nobody
/// else can write to.
fn kept(data: &TensorData) -> Result<TensorData> {
    match data.place() {
        Place::Device(_) => Ok(data.clone()),
        Place::Host | Place::Pinned if data.len() <= COPIED => {
            Ok(Bytes::copy_from_slice(&data.to_host()?).into())
        }
        Place::Host | Place::Pinned => match data.as_placed() {
            // Somebody's memory that is lent for the request only.
            Some(lent) if data.place() == Place::Host => Ok(Bytes::from(lent.to_vec()?).into()),
            _ => Ok(data.to_host()?.into()),
        },
    }
}

/// The states of a model, in the order of its config.
#[derive(Debug, Default)]
pub(super) struct StateSpecs {
    states: Vec<StateSpec>,
    /// The number of the client's outputs. Outputs behind them are for the server only.
    client_outputs: usize,
    /// Sequences may have states of different shapes.
    variable: bool,
}

#[derive(Debug)]
struct StateSpec {
    name: String,
    /// Which output of the model is the next state.
    output: usize,
    /// The shape with the batch dimension; -1 is a size that the model chooses.
    dims: Shape,
    data_type: DataType,
    initial: InputTensor,
}

/// The current states of one sequence.
#[derive(Debug)]
pub(super) struct SequenceStates(Mutex<SmallVec<[InputTensor; 2]>>);

impl StateSpecs {
    pub(super) fn new(
        model: &str,
        batching: &ModelSequenceBatching,
        interface: &Interface,
        read_file: &mut dyn FnMut(&str) -> Result<Bytes>,
    ) -> Result<StateSpecs> {
        let mut specs = StateSpecs { client_outputs: interface.outputs.len(), ..StateSpecs::default() };
        let batched = interface.max_batch_size > 0;
        let mut room = MAX_INITIAL;
        for state in &batching.state {
            let output = interface.all_outputs().position(|spec| *spec.name == *state.output_name);
            let (Some(output), Some(data_type)) = (output, data_type(state.data_type)) else {
                return Err(Error::internal(format!(
                    "state '{}' of model '{model}' has no output to come from",
                    state.input_name
                )));
            };
            let dims = Shape::from(state.dims.as_slice());
            specs.variable |= dims.contains(&-1);
            specs.states.push(StateSpec {
                name: state.input_name.clone(),
                output,
                dims: if batched { dims.with_batch(1) } else { dims },
                data_type,
                initial: initial(model, state, data_type, batched, &mut room, read_file)?,
            });
        }
        Ok(specs)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// Whether two sequences may have states of different shapes at all.
    pub(super) fn are_variable(&self) -> bool {
        self.variable
    }

    /// The data types of the states, in order.
    pub(super) fn data_types(&self) -> impl Iterator<Item = DataType> + '_ {
        self.states.iter().map(|state| state.data_type)
    }

    /// The states of a sequence that begins.
    pub(super) fn begin(&self) -> Arc<SequenceStates> {
        let initial = self.states.iter().map(|state| state.initial.clone()).collect();
        Arc::new(SequenceStates(Mutex::new(initial)))
    }

    /// Whether requests with these states can share a batch.
    pub(super) fn are_alike(&self, a: &SequenceStates, b: &SequenceStates) -> bool {
        if !self.variable || std::ptr::eq(a, b) {
            return true;
        }
        // Only one lock is held at a time: another thread may compare the same two in the opposite order.
        let a = a.0.lock().clone();
        let b = b.0.lock();
        a.iter().zip(b.iter()).all(|(a, b)| a.shape.get(1..) == b.shape.get(1..))
    }

    /// Adds the next states to what a request asks for.
    pub(super) fn require(&self, outputs: &mut WantedOutputs) {
        for state in &self.states {
            outputs.require(state.output);
        }
    }

    /// Takes the new states, and outputs that the client did not ask for, out of a response. Fails, and leaves all
    /// states unchanged, if the shape of a state does not match the config.
    pub(super) fn take(
        &self,
        response: &mut Response,
        states: &SequenceStates,
        asked: &WantedOutputs,
    ) -> Result<()> {
        if self.states.is_empty() {
            return Ok(());
        }
        let mut next: SmallVec<[(usize, InputTensor); 2]> = SmallVec::new();
        for (index, state) in self.states.iter().enumerate() {
            let Some(output) = response.outputs.iter().find(|output| output.index == state.output) else {
                continue;
            };
            if output.data_type.is_some() {
                return Err(Error::internal(format!(
                    "the model gave a next value of state '{}' that has another type than its config says",
                    state.name
                )));
            }
            if !state.dims.admits(&output.shape) {
                return Err(Error::internal(format!(
                    "the model was expected to give a next value of state '{}' with shape {}, it gave one with \
                     shape {}",
                    state.name, state.dims, output.shape
                )));
            }
            next.push((index, InputTensor { shape: output.shape.clone(), data: kept(&output.data)? }));
        }
        response.outputs.retain(|output| output.index < self.client_outputs && asked.contains(output.index));
        let mut states = states.0.lock();
        for (index, value) in next {
            states[index] = value;
        }
        Ok(())
    }
}

impl SequenceStates {
    /// The input states of the next request.
    pub(super) fn inputs(&self) -> SmallVec<[InputTensor; 2]> {
        self.0.lock().clone()
    }
}

/// The initial value of a state: as the config gives it, or zeros. A dimension of -1 becomes 1. Its size is taken off `room`.
fn initial(
    model: &str,
    state: &State,
    data_type: DataType,
    batched: bool,
    room: &mut usize,
    read_file: &mut dyn FnMut(&str) -> Result<Bytes>,
) -> Result<InputTensor> {
    let given = state.initial_state.first();
    let dims = given.map_or(&state.dims, |initial| &initial.dims);
    let dims: Shape = dims.iter().map(|&dim| if dim == -1 { 1 } else { dim }).collect();
    let shape = if batched { dims.with_batch(1) } else { dims };
    let element = data_type.byte_size().unwrap_or(LENGTH_PREFIX);
    let size = shape.element_count().and_then(|count| count.checked_mul(element));
    let refused = |why: &str| {
        let name = &state.input_name;
        Error::invalid_arg(format!(
            "{why} for the initial value of state '{name}' of model '{model}', which has shape {shape}"
        ))
    };
    let left = size.and_then(|size| room.checked_sub(size));
    let (Some(size), Some(left)) = (size, left) else {
        return Err(refused(&format!(
            "expected the states of a model to begin with at most {MAX_INITIAL} bytes together, of which {room} are left"
        )));
    };
    *room = left;
    let data = if let Some(StateData::DataFile(file)) = given.and_then(|initial| initial.state_data.as_ref())
    {
        from_file(model, state, &shape, size, file, read_file(file)?)?
    } else {
        let mut zeros = Vec::new();
        zeros.try_reserve_exact(size).map_err(|_| refused("there is no memory"))?;
        zeros.resize(size, 0);
        zeros.into()
    };
    Ok(InputTensor { shape, data: data.into() })
}

/// The initial value from a file. Excess bytes are ignored.
fn from_file(
    model: &str,
    state: &State,
    shape: &Shape,
    size: usize,
    file: &str,
    data: Bytes,
) -> Result<Bytes> {
    if data_type(state.data_type) == Some(DataType::Bytes) {
        return strings(model, state, shape, size, data);
    }
    if data.len() < size {
        return Err(Error::invalid_arg(format!(
            "initial_state setting expects {size} bytes, but the data provided from {file} only has {} bytes.",
            data.len()
        )));
    }
    Ok(data.slice(..size))
}

/// A file of strings, each behind its length, as many as the shape has elements. A file of something else stands for empty
/// strings, which take `size` bytes: models with such files load in Triton.
fn strings(model: &str, state: &State, shape: &Shape, size: usize, data: Bytes) -> Result<Bytes> {
    let expected = shape.element_count().unwrap_or(usize::MAX);
    let mut found = 0;
    for element in BytesElements::new(&data) {
        if let Err(fault) = element {
            let name = &state.input_name;
            warn!(
                model,
                "the file for the initial value of state '{name}' has no whole strings ({fault}): empty ones are taken"
            );
            return Ok(vec![0; size].into());
        }
        found += 1;
    }
    if found == expected {
        return Ok(data);
    }
    Err(Error::invalid_arg(format!(
        "the file for the initial value of state '{}' of model '{model}' was expected to have {expected} strings, it \
         has {found}",
        state.input_name
    )))
}
