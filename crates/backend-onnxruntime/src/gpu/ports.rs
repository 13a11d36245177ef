//! The device of an instance, and the tensors of its model.

use std::sync::Arc;

use hippocamp_backend::{Error, Result};
use hippocamp_batching::Inputs;
use hippocamp_device::{DeviceError, Devices, Stream};
use hippocamp_tensor::{Allocator, MemoryError, Place, PlacedSlice, Shape};
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};

use super::plan_cache::Key;
use crate::error::engine;
use crate::ports::Port;

/// The device of an instance, and what it has of it: a stream for its runs and copies, and memory.
pub(super) struct OnDevice {
    pub(super) id: i32,
    pub(super) devices: Devices,
    pub(super) stream: Arc<dyn Stream>,
    /// Of memory that belongs to the stream.
    pub(super) allocator: Arc<dyn Allocator>,
    pub(super) pinned: Option<Arc<dyn Allocator>>,
    /// Describes the device's memory to the engine.
    pub(super) memory: MemoryInfo<'static>,
}

impl OnDevice {
    /// A stream on the device, which becomes the calling thread's current one.
    pub(super) fn new(model: &str, devices: &Devices, id: i32) -> Result<OnDevice> {
        let failed = |error: DeviceError| Error::of_memory(model, MemoryError::from(error));
        let stream = devices.stream(id).map_err(failed)?;
        stream.make_current().map_err(failed)?;
        let cuda = AllocationDevice::CUDA;
        let memory = MemoryInfo::new(cuda, id, AllocatorType::Device, MemoryType::Default).map_err(engine)?;
        Ok(OnDevice {
            id,
            devices: devices.clone(),
            allocator: Arc::clone(&stream).allocator(),
            pinned: devices.memory(Place::Pinned),
            stream,
            memory,
        })
    }

    /// The address of memory that a run accesses.
    pub(super) fn address(&self, slice: PlacedSlice<'_>) -> Result<u64> {
        let address = self.devices.address(slice);
        address.ok_or_else(|| {
            Error::internal(format!("memory of GPU {} was expected, it is in {}", self.id, slice.place()))
        })
    }
}

/// The tensors of the model, in the order of the config.
pub(super) struct Ports {
    pub(super) model: Arc<str>,
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
}

impl Ports {
    /// The shapes of a batch, as the engine takes them. Fails if the model cannot process one of them.
    pub(super) fn key(&self, inputs: &Inputs<'_>) -> Result<Key> {
        let shapes = self.inputs.iter().zip(inputs).map(|(port, view)| {
            let Some(view) = view else {
                return if port.optional { Ok(None) } else { Err(port.missing(&self.model)) };
            };
            // What only a look at the elements tells is a fault of operators of the CPU.
            let tensor = (view.data_type, &view.shape, [].as_slice());
            port.guard.check(&self.model, || port.name.to_string_lossy().into_owned(), tensor)?;
            Ok(Some(if port.scalar.is_some() { Shape::default() } else { view.shape.clone() }))
        });
        shapes.collect()
    }
}
