//! A model whose tensors stay on a device, for tests of what handles them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hippocamp_backend::{
    Backend, BackendFacts, Error, GpuSupport, InstanceSpec, Model, ModelSource, NewInstance, Result,
};
use hippocamp_device::Driver;
use hippocamp_device::testing::{TestDevice, TestDriver, TestMemory};
use hippocamp_interface::ModelConfig;
use hippocamp_tensor::{Allocator, MemoryError, Place, PlacedBuffer};

use crate::{Batched, Compute, InputMemory, Inputs, Outputs};

/// A backend named `on_device`. Its models have INT32 inputs and as many outputs: each output is its input plus one. Inputs are
/// gathered in the memory of a test device, where the outputs are made, too.
#[derive(Clone, Debug)]
pub struct DeviceBackend {
    driver: Arc<TestDriver>,
    id: i32,
    instances_made: Arc<AtomicUsize>,
}

impl DeviceBackend {
    /// On the device with this id.
    pub fn new(driver: &Arc<TestDriver>, id: i32) -> DeviceBackend {
        DeviceBackend { driver: Arc::clone(driver), id, instances_made: Arc::default() }
    }

    /// How many instances were made since the backend was.
    pub fn instances_made(&self) -> usize {
        self.instances_made.load(Ordering::SeqCst)
    }
}

impl Backend for DeviceBackend {
    fn name(&self) -> &'static str {
        "on_device"
    }

    fn facts(&self) -> BackendFacts {
        BackendFacts { gpus: GpuSupport::From(0, 0), ..BackendFacts::PLAIN }
    }

    fn load(&self, _: &ModelSource) -> Result<Box<dyn Model>> {
        Ok(Box::new(self.clone()))
    }
}

impl Model for DeviceBackend {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, spec: &InstanceSpec) -> Result<NewInstance> {
        self.instances_made.fetch_add(1, Ordering::SeqCst);
        let memory = self.driver.memory(self.id).ok_or_else(|| Error::internal("there is no such device"))?;
        let (device, model) = (Arc::clone(self.driver.device(self.id)), Arc::clone(&spec.interface.model));
        Ok(NewInstance::bound(Batched::new(PlusOne { device, memory, model }, Arc::clone(&spec.interface))))
    }
}

struct PlusOne {
    device: Arc<TestDevice>,
    memory: Arc<dyn Allocator>,
    model: Arc<str>,
}

impl Compute for PlusOne {
    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut Outputs) -> Result<()> {
        for (index, input) in inputs.iter().enumerate() {
            let Some(input) = input.as_ref().filter(|_| outputs.is_wanted(index)) else { continue };
            let seen = TestMemory::seen_by_kernel(input.data).filter(|_| self.is_here(input.data.place()));
            let Some(seen) = seen else {
                let place = input.data.place();
                return Err(Error::internal(format!(
                    "an input was expected on the device, it is in {place}"
                )));
            };
            let numbers = seen.as_chunks::<4>().0.iter().map(|number| i32::from_le_bytes(*number));
            let result: Vec<u8> = numbers.flat_map(|number| number.wrapping_add(1).to_le_bytes()).collect();
            let memory = self.device.allocate_with(&result).map_err(|error| self.failed(error))?;
            outputs.set(index, input.shape.clone(), Arc::new(memory) as Arc<dyn PlacedBuffer>);
        }
        Ok(())
    }

    fn input_memory(&self, _: usize) -> InputMemory<'_> {
        Some(&*self.memory).into()
    }
}

impl PlusOne {
    fn is_here(&self, place: Place) -> bool {
        place == self.memory.place()
    }

    fn failed(&self, error: MemoryError) -> Error {
        Error::of_memory(&self.model, error)
    }
}

#[cfg(test)]
mod tests;
