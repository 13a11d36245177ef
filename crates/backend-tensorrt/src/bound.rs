//! The inputs of a batch, as the engine takes them.

use hippocamp_backend::{Error, Result};
use hippocamp_batching::{InputView, Inputs};
use hippocamp_device::Devices;
use hippocamp_tensor::{Allocator, PlacedBufferMut, PlacedSlice};
use hippocamp_tensorrt_sys::Dims;

use crate::graphs::Key;
use crate::output_buffers::whole;
use crate::port::Port;
use crate::profiles::Given;

/// Where inputs on the device are, and how they get there.
pub(crate) struct Memory<'a> {
    pub(crate) devices: &'a Devices,
    pub(crate) allocator: &'a dyn Allocator,
    /// The address of empty tensors.
    pub(crate) filler: u64,
}

/// An input of a batch.
#[derive(Debug)]
pub(crate) struct Bound<'a> {
    pub(crate) port: &'a Port,
    pub(crate) dims: Dims,
    pub(crate) address: u64,
    /// Memory of the device, which the stream has to be ordered with.
    pub(crate) slice: Option<PlacedSlice<'a>>,
    /// Of a shape tensor.
    values: Option<Vec<i64>>,
    /// Of one in host memory: what the address is of.
    bytes: Vec<u8>,
    /// Of one that had to be copied. It is freed behind the run, in the order of the stream.
    copy: Option<Box<dyn PlacedBufferMut>>,
}

impl<'a> Bound<'a> {
    /// An input at an address that is known.
    pub(crate) fn at(model: &str, port: &'a Port, shape: &[i64], address: u64) -> Result<Bound<'a>> {
        let dims = Dims::new(shape).ok_or_else(|| too_many(model, port, shape))?;
        Ok(Bound { port, dims, address, slice: None, values: None, bytes: Vec::new(), copy: None })
    }

    fn of(
        model: &str,
        port: &'a Port,
        view: &InputView<'a>,
        batch: i64,
        memory: &Memory<'_>,
    ) -> Result<Bound<'a>> {
        if port.tensor.on_host {
            return Bound::on_host(model, port, view, batch);
        }
        // An empty tensor needs an address all the same.
        let address =
            if view.data.is_empty() { Some(memory.filler) } else { memory.devices.address(view.data) };
        let Some(address) = address else { return Bound::copied(model, port, view, memory) };
        let mut bound = Bound::at(model, port, &view.shape, address)?;
        bound.slice = (!view.data.is_empty()).then_some(view.data);
        Ok(bound)
    }

    /// An input in memory that only its owner reaches: it is copied.
    #[cold]
    fn copied(model: &str, port: &'a Port, view: &InputView<'a>, memory: &Memory<'_>) -> Result<Bound<'a>> {
        let copy = memory.allocator.allocate(view.data.len()).and_then(|mut copy| {
            copy.copy_from(0, view.data)?;
            Ok(copy)
        });
        let copy = copy.map_err(|error| Error::of_memory(model, error))?;
        let address = memory.devices.address(whole(&*copy, 0)).unwrap_or(memory.filler);
        let mut bound = Bound::at(model, port, &view.shape, address)?;
        bound.copy = Some(copy);
        Ok(bound)
    }

    fn on_host(model: &str, port: &'a Port, view: &InputView<'a>, batch: i64) -> Result<Bound<'a>> {
        let mut bytes = if port.has_batch_value { port.value_bytes(batch) } else { Vec::new() };
        bytes.extend_from_slice(view.bytes()?);
        let mut shape = view.shape.to_vec();
        if port.has_batch_value
            && let Some(values) = shape.first_mut()
        {
            *values += 1;
        }
        let values = port.tensor.is_shape_tensor.then(|| port.values(&bytes));
        let mut bound = Bound::at(model, port, &shape, bytes.as_ptr() as u64)?;
        (bound.values, bound.bytes) = (values, bytes);
        Ok(bound)
    }

    /// What the choice of a profile depends on.
    pub(crate) fn given(&self) -> Given<'_> {
        let dims = self.dims.get().unwrap_or_default();
        Given { port: self.port, dims, values: self.values.as_deref() }
    }
}

/// All inputs of a batch.
pub(crate) fn bind<'a>(
    model: &str,
    ports: &'a [Port],
    inputs: &'a Inputs<'_>,
    memory: &Memory<'_>,
) -> Result<Vec<Bound<'a>>> {
    let batch = ports.iter().zip(inputs).find(|(port, view)| !port.spec.is_shape_tensor && view.is_some());
    let batch = batch.and_then(|(_, view)| view.as_ref()?.shape.first().copied()).unwrap_or(1);
    let bound = ports.iter().zip(inputs).map(|(port, view)| match view {
        Some(view) => Bound::of(model, port, view, batch, memory),
        None => Err(Error::invalid_arg(format!(
            "model '{model}' has no value of its own for input '{}', and the request gives none",
            port.name()
        ))),
    });
    bound.collect()
}

/// What identifies a captured run.
pub(crate) fn key(profile: usize, inputs: &[Bound<'_>]) -> Key {
    Key {
        profile,
        shapes: inputs.iter().map(|input| input.dims).collect(),
        addresses: inputs.iter().map(|input| input.address).collect(),
    }
}

#[cold]
fn too_many(model: &str, port: &Port, shape: &[i64]) -> Error {
    Error::invalid_arg(format!(
        "input '{}' of model '{model}' has shape {shape:?}, TensorRT takes up to {} dimensions",
        port.name(),
        Dims::MAX
    ))
}
