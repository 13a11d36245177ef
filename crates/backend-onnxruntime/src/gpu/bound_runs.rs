//! Runs without graphs: inputs and outputs are bound for each run, on the device or on the host, as the session has them.

#![allow(
    unsafe_code,
    reason = "hands addresses of device memory to the engine, and takes over memory of its outputs"
)]

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use hippocamp_backend::{Error, Result};
use hippocamp_batching::{Inputs, Outputs};
use hippocamp_tensor::{DataType, PlacedBuffer, PlacedBufferMut, PlacedSlice, Shape, TensorData};
use ort::memory::{Allocator, MemoryInfo};
use ort::session::{RunOptions, Session, SharedSessionInner};
use ort::value::Outlet;
use smallvec::SmallVec;

use super::plan_cache::Key;
use super::ports::{OnDevice, Ports};
use crate::element_type::raw;
use crate::ffi::binding::{Binding, inputs_on_host, outputs_on_host};
use crate::ffi::value::{Input, Value};
use crate::instance::normal_booleans;
use crate::ports::Port;

/// Sessions whose runs are not captured.
pub(super) struct BoundRuns {
    /// Each with the number of rows that it is for, or 0 for any.
    sessions: Vec<(usize, Session)>,
    options: RunOptions,
    /// Whether the session takes each input of the config in host memory.
    inputs_on_host: Vec<bool>,
    /// Whether the session makes each output of the config in host memory.
    outputs_on_host: Vec<bool>,
    host: MemoryInfo<'static>,
    strings: Allocator,
}

/// An input of a run.
enum Bound<'a> {
    Host(Input<'a>),
    Device(Value),
}

/// The owner of an output that the engine allocated. The session, whose arena the memory is of, is released last.
struct Owner(
    #[expect(dead_code, reason = "dropped last")] Mutex<Value>,
    #[expect(dead_code)] Arc<SharedSessionInner>,
);

impl BoundRuns {
    /// With sessions by the number of rows, or one for any, of 0 rows.
    pub(super) fn new(
        sessions: Vec<(usize, Session)>,
        options: RunOptions,
        ports: &Ports,
    ) -> Result<BoundRuns> {
        let Some((_, first)) = sessions.first() else { return Err(Error::internal("no session was made")) };
        let by_name = |names: Vec<&str>, on_host: Vec<bool>, ports: &[Port]| {
            let place = |port: &Port| {
                let index = names.iter().position(|name| name.as_bytes() == port.name.as_bytes());
                // What the session does not list is an initializer that a request may replace.
                index.and_then(|index| on_host.get(index)).copied().unwrap_or(true)
            };
            ports.iter().map(place).collect::<Vec<bool>>()
        };
        let inputs =
            by_name(first.inputs().iter().map(Outlet::name).collect(), inputs_on_host(first)?, &ports.inputs);
        let outputs = by_name(
            first.outputs().iter().map(Outlet::name).collect(),
            outputs_on_host(first)?,
            &ports.outputs,
        );
        let or_strings = |on_host: Vec<bool>, ports: &[Port]| {
            on_host.iter().zip(ports).map(|(host, port)| *host || port.data_type == DataType::Bytes).collect()
        };
        Ok(BoundRuns {
            inputs_on_host: or_strings(inputs, &ports.inputs),
            outputs_on_host: or_strings(outputs, &ports.outputs),
            sessions,
            options,
            host: MemoryInfo::default(),
            strings: Allocator::default(),
        })
    }

    /// Whether the input at that index is taken from host memory.
    pub(super) fn is_on_host(&self, input: usize) -> bool {
        self.inputs_on_host.get(input).copied().unwrap_or(true)
    }

    /// Whether there is a session for each of a few sizes.
    pub(super) fn is_by_size(&self) -> bool {
        self.sessions.iter().any(|(size, _)| *size > 0)
    }

    /// The session for a batch of that many rows.
    fn session(&self, rows: usize) -> &Session {
        let found = self.sessions.iter().find(|(size, _)| *size == rows).or_else(|| self.sessions.first());
        // `new` has seen the first.
        &found.unwrap_or_else(|| unreachable!("there is a session")).1
    }

    /// Runs a batch with these shapes.
    pub(super) fn run(
        &self,
        (key, rows): (&Key, usize),
        inputs: &Inputs<'_>,
        (on, ports): (&OnDevice, &Ports),
        outputs: &mut Outputs,
    ) -> Result<()> {
        let session = self.session(rows);
        let wanted: SmallVec<[usize; 8]> =
            (0..ports.outputs.len()).filter(|index| outputs.is_wanted(*index)).collect();
        if wanted.is_empty() {
            // The engine refuses to run without outputs.
            return Ok(());
        }
        let booleans: SmallVec<[Option<Vec<u8>>; 4]> =
            inputs.iter().map(|input| normal_booleans(input.as_ref()?)).collect();
        let mut bound: SmallVec<[Bound<'_>; 4]> = SmallVec::new();
        let mut binding = Binding::new(session)?;
        for (index, (port, shape)) in ports.inputs.iter().zip(key).enumerate() {
            let (Some(shape), Some(Some(view))) = (shape, inputs.get(index)) else { continue };
            let input = match view.data.as_host() {
                Some(bytes) => {
                    let bytes = booleans.get(index).and_then(Option::as_deref).unwrap_or(bytes);
                    Bound::Host(match port.data_type {
                        DataType::Bytes => Input::strings(&self.strings, shape, bytes)?,
                        data_type => Input::over(&self.host, data_type, shape, bytes)?,
                    })
                }
                None => Bound::Device(device_value(on, port, shape, view.data)?),
            };
            let value = match &input {
                Bound::Host(input) => input.value(),
                Bound::Device(value) => value,
            };
            binding.input(&port.name, value)?;
            bound.push(input);
        }
        for index in &wanted {
            let memory = if self.outputs_on_host[*index] { &self.host } else { &on.memory };
            binding.output_in(&ports.outputs[*index].name, memory)?;
        }
        binding.run(&self.options)?;
        let values = binding.outputs()?;
        drop(binding);
        for (index, value) in wanted.into_iter().zip(values) {
            let port = &ports.outputs[index];
            let other = || port.of_another_type(&ports.model);
            let (shape, data): (Shape, TensorData) = if value.is_on_host()? {
                let (shape, bytes) = value.take(port.data_type, inputs, session)?.ok_or_else(other)?;
                (shape, bytes.into())
            } else {
                let (element, shape) = value.describe()?;
                if element != raw(port.data_type) {
                    return Err(other());
                }
                let size = shape.byte_size(port.data_type).unwrap_or(0);
                let data = match of_input(on, inputs, value.address()?, size) {
                    Some(input) => copied(on, input)?,
                    None => adopted(on, value, size, session)?,
                };
                (shape, data)
            };
            outputs.set(index, port.scalar.clone().unwrap_or(shape), data);
        }
        Ok(())
    }

    /// Runs with zeros of these shapes, and drops the outputs.
    pub(super) fn try_out(&self, (key, rows): (&Key, usize), on: &OnDevice, ports: &Ports) -> Result<()> {
        let mut binding = Binding::new(self.session(rows))?;
        let (mut on_host, mut on_device) = (Vec::new(), Vec::new());
        for (index, (port, shape)) in ports.inputs.iter().zip(key).enumerate() {
            let Some(shape) = shape else { continue };
            if port.data_type == DataType::Bytes {
                let input = Input::empty_strings(&self.strings, shape)?;
                binding.input(&port.name, input.value())?;
                continue;
            }
            let size = shape.byte_size(port.data_type).unwrap_or(0);
            if self.is_on_host(index) {
                let host = vec![0; size];
                let address = host.as_ptr() as u64;
                // SAFETY: the zeros are kept until the run is over, at that address, and runs only read inputs.
                let value =
                    unsafe { Value::over_device(&self.host, (port.data_type, shape), address, size)? };
                binding.input(&port.name, &value)?;
                on_host.push(host);
            } else {
                let mut buffer = on.allocator.allocate(size.max(1)).map_err(Error::from)?;
                buffer.fill_zeros(0, size).map_err(Error::from)?;
                let zeros = PlacedSlice::Placed { buffer: &*buffer, start: 0, len: size };
                binding.input(&port.name, &device_value(on, port, shape, zeros)?)?;
                on_device.push(buffer);
            }
        }
        for (index, port) in ports.outputs.iter().enumerate() {
            let memory = if self.outputs_on_host[index] { &self.host } else { &on.memory };
            binding.output_in(&port.name, memory)?;
        }
        let ran = binding.run(&self.options);
        // What it reads is freed behind it.
        drop(binding);
        drop((on_host, on_device));
        ran
    }
}

/// A value over an input of a batch that is on the device, which the run may read without further ado.
fn device_value(on: &OnDevice, port: &Port, shape: &Shape, data: PlacedSlice<'_>) -> Result<Value> {
    let failed = |error| Error::from(hippocamp_tensor::MemoryError::from(error));
    on.stream.wait_for(data).map_err(failed)?;
    let address = on.address(data)?;
    // SAFETY: the batch is borrowed until its run is over, which ends when it has computed.
    unsafe { Value::over_device(&on.memory, (port.data_type, shape), address, data.len()) }
}

/// The input that an output lies in, if it does: what a graph lists as an input and as an output is handed back as it came, in
/// memory that belongs to the batch.
pub(super) fn of_input<'a>(
    on: &OnDevice,
    inputs: &'a Inputs<'_>,
    address: u64,
    size: usize,
) -> Option<PlacedSlice<'a>> {
    inputs.iter().flatten().find_map(|input| {
        let start = address.checked_sub(on.devices.address(input.data)?)?;
        let start = usize::try_from(start).ok().filter(|start| *start < input.data.len())?;
        match input.data {
            PlacedSlice::Placed { buffer, start: first, len } if size <= len - start => {
                Some(PlacedSlice::Placed { buffer, start: first + start, len: size })
            }
            _ => None,
        }
    })
}

/// An input as an output, which outlives the batch.
pub(super) fn copied(on: &OnDevice, input: PlacedSlice<'_>) -> Result<TensorData> {
    let mut copy = on.allocator.allocate(input.len()).map_err(Error::from)?;
    copy.copy_from(0, input).map_err(Error::from)?;
    Ok(TensorData::from(Arc::<dyn PlacedBufferMut>::from(copy) as Arc<dyn PlacedBuffer>))
}

/// An output on the device, where it stays until nobody needs it any more.
fn adopted(on: &OnDevice, value: Value, size: usize, session: &Session) -> Result<TensorData> {
    let address = value.address()?;
    if size == 0 || address == 0 {
        return Ok(Bytes::new().into());
    }
    let owner = Box::new(Owner(Mutex::new(value), session.inner()));
    let failed = |error| Error::from(hippocamp_tensor::MemoryError::from(error));
    // SAFETY: the value owns that memory and is kept; the run is over, and the engine does not write to it any more.
    let buffer = unsafe { Arc::clone(&on.stream).adopt(address, size, owner) }.map_err(failed)?;
    Ok(TensorData::from(Arc::<dyn PlacedBufferMut>::from(buffer) as Arc<dyn PlacedBuffer>))
}
