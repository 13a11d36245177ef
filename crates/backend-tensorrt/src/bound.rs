//! The inputs of a batch, as the engine takes them.

use hippocamp_backend::{Error, Result};
use hippocamp_batching::{InputView, Inputs};
use hippocamp_device::Devices;
use hippocamp_tensor::PlacedSlice;
use hippocamp_tensorrt_sys::Dims;

use crate::graphs::Key;
use crate::port::Port;
use crate::profiles::Given;

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
}

impl<'a> Bound<'a> {
    /// An input at an address that is known.
    pub(crate) fn at(model: &str, port: &'a Port, shape: &[i64], address: u64) -> Result<Bound<'a>> {
        let dims = Dims::new(shape).ok_or_else(|| too_many(model, port, shape))?;
        Ok(Bound { port, dims, address, slice: None, values: None, bytes: Vec::new() })
    }

    fn of(
        model: &str,
        port: &'a Port,
        view: &InputView<'a>,
        batch: i64,
        (devices, filler): (&Devices, u64),
    ) -> Result<Bound<'a>> {
        if port.tensor.on_host {
            return Bound::on_host(model, port, view, batch);
        }
        // An empty tensor needs an address all the same.
        let address = if view.data.is_empty() { Some(filler) } else { devices.address(view.data) };
        let address = address.ok_or_else(|| {
            Error::internal(format!(
                "input '{}' of model '{model}' was expected on the device, it is in {}",
                port.name(),
                view.data.place()
            ))
        })?;
        let mut bound = Bound::at(model, port, &view.shape, address)?;
        bound.slice = (!view.data.is_empty()).then_some(view.data);
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
    memory: (&Devices, u64),
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
