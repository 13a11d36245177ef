//! A model whose instances run prepared plans, for tests of what executes them: fixed buffers, a few batch sizes, and one
//! thread, as with CUDA graphs.

use std::sync::Arc;
use std::thread::{self, ThreadId};

use hippocamp_backend::{
    Backend, BackendFacts, Error, GpuSupport, InstanceSpec, Model, ModelSource, NewInstance, Result,
};
use hippocamp_device::Driver;
use hippocamp_device::testing::{TestDriver, TestMemory};
use hippocamp_interface::{Interface, ModelConfig, TensorSpec};
use hippocamp_tensor::{Allocator, DataType, MemoryError, PlacedBuffer, PlacedBufferMut, PlacedSlice};
use parking_lot::Mutex;

use crate::{Batched, Compute, Gather, InputMemory, Inputs, Outputs, PlanSizes, Started};

/// A backend named `planned`. Its models have inputs of INT32, and as many outputs: each output is its input plus one. An
/// instance is on the test device that its spec names. It reads inputs from the buffers that it had when it was made, and writes
/// outputs to others, which it overwrites with each batch; it refuses any batch for whose size it has no plan, and panics on
/// another thread than that which made it.
#[derive(Clone, Debug)]
pub struct PlannedBackend {
    driver: Arc<TestDriver>,
    journal: Arc<Mutex<Vec<Planned>>>,
}

/// Something that an instance of [`PlannedBackend`] did, and on which thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The name of the instance.
    pub instance: String,
    /// What it did.
    pub act: Act,
    /// On which thread.
    pub thread: ThreadId,
}

/// What an instance of [`PlannedBackend`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// It was made.
    Made,
    /// It executed a plan of that many rows.
    Ran(usize),
    /// It was dropped.
    Dropped,
}

impl PlannedBackend {
    /// On the devices of the driver.
    pub fn new(driver: &Arc<TestDriver>) -> PlannedBackend {
        PlannedBackend { driver: Arc::clone(driver), journal: Arc::default() }
    }

    /// What the instances did so far, in the order of time.
    pub fn journal(&self) -> Vec<Planned> {
        self.journal.lock().clone()
    }
}

impl Backend for PlannedBackend {
    fn name(&self) -> &'static str {
        "planned"
    }

    fn facts(&self) -> BackendFacts {
        BackendFacts { gpus: GpuSupport::From(0, 0), ..BackendFacts::PLAIN }
    }

    fn load(&self, _: &ModelSource) -> Result<Box<dyn Model>> {
        Ok(Box::new(self.clone()))
    }
}

impl Model for PlannedBackend {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn prepared_batch_sizes(&self, config: &ModelConfig) -> Vec<usize> {
        let sizes = Interface::new(config).ok().and_then(|i| PlanSizes::from_config(config, &i).ok());
        sizes.map(|sizes| sizes.as_slice().to_vec()).unwrap_or_default()
    }

    fn new_instance(&self, spec: &InstanceSpec) -> Result<NewInstance> {
        let hippocamp_backend::Device::Gpu(id) = spec.device else {
            return Err(Error::invalid_arg(format!("instance '{}' was expected to be on a GPU", spec.name)));
        };
        let (plans, rows) =
            (PlanSizes::from_config(&spec.config, &spec.interface)?, spec.interface.max_batch_size);
        let device = self.driver.device(id);
        let made = |error| Error::of_memory(&spec.interface.model, error);
        let (mut inputs, mut addresses, mut outputs) = (Vec::new(), Vec::new(), Vec::new());
        for (input, output) in spec.interface.inputs.iter().zip(&spec.interface.outputs) {
            let memory = device.allocate(size(input, rows)).map_err(made)?;
            addresses.push(address(&memory));
            inputs.push(Some(Box::new(memory) as Box<dyn PlacedBufferMut>));
            outputs.push(device.allocate(size(output, rows)).map_err(made)?);
        }
        let memory = self.driver.memory(id).ok_or_else(|| Error::internal("there is no such device"))?;
        let pinned = self.driver.pinned();
        let journal = Arc::clone(&self.journal);
        let note = Note { instance: spec.name.clone(), thread: thread::current().id(), journal };
        note.add(Act::Made);
        let model = Arc::clone(&spec.interface.model);
        let plus_one = PlusOne { model, plans, addresses, outputs, memory, pinned, note };
        let interface: Arc<Interface> = Arc::clone(&spec.interface);
        Ok(NewInstance::bound(Batched::gathering(plus_one, interface, Gather::with_buffers(inputs))))
    }
}

/// The bytes of a tensor of so many rows.
fn size(spec: &TensorSpec, rows: u32) -> usize {
    spec.dims.with_batch(i64::from(rows.max(1))).byte_size(DataType::Int32).unwrap_or(0)
}

fn address(memory: &TestMemory) -> usize {
    let all = PlacedSlice::Placed { buffer: memory, start: 0, len: memory.len() };
    TestMemory::seen_by_kernel(all).map_or(0, |bytes| bytes.as_ptr() as usize)
}

struct PlusOne {
    model: Arc<str>,
    plans: PlanSizes,
    /// Where the buffer of each input begins.
    addresses: Vec<usize>,
    outputs: Vec<TestMemory>,
    memory: Arc<dyn Allocator>,
    pinned: Option<Arc<dyn Allocator>>,
    note: Note,
}

impl Compute for PlusOne {
    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut Outputs) -> Result<()> {
        let mut copies = Vec::new();
        for (index, (input, result)) in inputs.iter().zip(&mut self.outputs).enumerate() {
            let Some(input) = input else { continue };
            let rows = input.shape.first().map_or(0, |rows| *rows as usize);
            if !self.plans.is_empty() && !self.plans.as_slice().contains(&rows) {
                return Err(Error::internal(format!("there is no plan for {rows} rows")));
            }
            let seen = TestMemory::seen_by_kernel(input.data);
            let seen = seen.filter(|seen| seen.as_ptr() as usize == self.addresses[index]);
            let seen =
                seen.ok_or_else(|| Error::internal("an input is not in the buffer that the plan reads"))?;
            if index == 0 {
                self.note.add(Act::Ran(rows));
            }
            let numbers = seen.as_chunks::<4>().0.iter().map(|number| i32::from_le_bytes(*number));
            let sums: Vec<u8> = numbers.flat_map(|number| number.wrapping_add(1).to_le_bytes()).collect();
            result.write_by_kernel(0, &sums);
            let all = PlacedSlice::Placed { buffer: &*result, start: 0, len: sums.len() };
            copies.push((index, input.shape.clone(), all));
        }
        let queued = outputs.copy_all(copies, &*self.memory, self.pinned.as_deref());
        queued.map_err(|error: MemoryError| Error::of_memory(&self.model, error))
    }

    /// As if the device still worked on the batch.
    fn start(&mut self, inputs: &Inputs<'_>, outputs: &mut Outputs) -> Result<Option<Started>> {
        self.run(inputs, outputs)?;
        Ok(Some(Box::new(|| Ok(()))))
    }

    fn input_memory(&self, _: usize) -> InputMemory<'_> {
        InputMemory { allocator: Some(&*self.memory), fixed: true, ..InputMemory::default() }
    }

    fn padded_rows(&self, rows: usize) -> usize {
        self.plans.padded(rows)
    }

    fn pinned_memory(&self) -> Option<&dyn Allocator> {
        self.pinned.as_deref()
    }
}

/// Notes what an instance does.
struct Note {
    instance: String,
    /// The thread that it was made on.
    thread: ThreadId,
    journal: Arc<Mutex<Vec<Planned>>>,
}

impl Note {
    fn add(&self, act: Act) {
        let thread = thread::current().id();
        self.journal.lock().push(Planned { instance: self.instance.clone(), act, thread });
        assert!(
            thread == self.thread || thread::panicking(),
            "instance '{}' is on another thread than the one that made it",
            self.instance
        );
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        self.add(Act::Dropped);
    }
}

#[cfg(test)]
mod tests;
