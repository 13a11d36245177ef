//! An instance on a GPU.

use std::sync::Arc;

use hippocamp_backend::{Error, Request, Result};
use hippocamp_batching::{Compute, InputMemory, Inputs, Outputs, PlanSizes, Started};
use hippocamp_device::Mark;
use hippocamp_tensor::{Allocator, MemoryError};
use smallvec::SmallVec;
use tracing::{debug, warn};

use super::bound_runs::BoundRuns;
use super::counters::PlanCounters;
use super::errors::of_run;
use super::graphs::{Graphs, NoPlan};
use super::plan_cache::Key;
use super::ports::{OnDevice, Ports};

/// Executes batches on a GPU. Made, used and dropped on one thread.
pub(crate) struct GpuInstance {
    pub(super) runs: Runs,
    pub(super) ports: Ports,
    /// The sizes that batches are padded to.
    pub(super) sizes: PlanSizes,
    /// The options of every run.
    pub(super) entries: Vec<(String, String)>,
    pub(super) counters: Arc<PlanCounters>,
    /// Declared behind the runs, so that its stream outlives their sessions.
    pub(super) on: OnDevice,
}

/// How batches are run.
pub(super) enum Runs {
    Graphs(Box<Graphs>),
    Bound(BoundRuns),
}

impl GpuInstance {
    /// Runs a batch, or queues its run. Returns the point behind it if it was only queued.
    fn run_batch(&mut self, inputs: &Inputs<'_>, outputs: &mut Outputs) -> Result<Option<Box<dyn Mark>>> {
        let key = self.ports.key(inputs)?;
        if let Runs::Graphs(graphs) = &mut self.runs {
            let (ports, on) = (&self.ports, &self.on);
            let addresses = addresses(on, inputs)?;
            let made = if graphs.has_plan(&key, &addresses) {
                Ok(())
            } else {
                debug!(
                    model = &*ports.model,
                    plans = graphs.count(),
                    "a batch waits for a plan of its shape"
                );
                // A plan that makes room for it may still be replayed.
                on.stream.synchronize().map_err(MemoryError::from)?;
                graphs.make(key.clone(), &addresses, (on, ports), (&self.entries, &self.counters, true))
            };
            match made {
                Ok(()) => return graphs.replay(&key, (on, ports), outputs).map(Some),
                Err(NoPlan::Run(error)) => return Err(error),
                Err(NoPlan::Capture(error)) => {
                    let model = &*ports.model;
                    warn!(
                        model,
                        "an instance goes on without CUDA graphs, as its runs cannot be captured: {error}"
                    );
                    self.runs = Runs::Bound(graphs.without(ports, &self.entries)?);
                }
            }
        }
        match &self.runs {
            Runs::Bound(runs) => {
                runs.run((&key, rows_of(&key)), inputs, (&self.on, &self.ports), outputs).map(|()| None)
            }
            Runs::Graphs(_) => Err(Error::internal("a plan was expected, there is none")),
        }
    }
}

/// Where the inputs of a batch are on the device.
fn addresses(on: &OnDevice, inputs: &Inputs<'_>) -> Result<SmallVec<[Option<u64>; 4]>> {
    inputs.iter().map(|view| view.as_ref().map(|view| on.address(view.data)).transpose()).collect()
}

/// The rows of a batch with these shapes.
fn rows_of(key: &Key) -> usize {
    let rows = key.iter().flatten().next().and_then(|shape| shape.first());
    rows.and_then(|rows| usize::try_from(*rows).ok()).unwrap_or(0)
}

impl Compute for GpuInstance {
    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut Outputs) -> Result<()> {
        match self.start(inputs, outputs)? {
            Some(wait) => wait(),
            None => Ok(()),
        }
    }

    fn starts_at_once(&mut self, inputs: &Inputs<'_>) -> bool {
        let Runs::Graphs(graphs) = &mut self.runs else { return true };
        // What is wrong with them is told where they are run.
        let place = self.ports.key(inputs).and_then(|key| Ok((key, addresses(&self.on, inputs)?)));
        place.is_ok_and(|(key, addresses)| graphs.has_plan(&key, &addresses))
    }

    fn start(&mut self, inputs: &Inputs<'_>, outputs: &mut Outputs) -> Result<Option<Started>> {
        let queued = self.run_batch(inputs, outputs);
        let (model, devices, id) = (Arc::clone(&self.ports.model), self.on.devices.clone(), self.on.id);
        let failed = move |error| of_run(&model, id, devices.lost(id).as_deref(), error);
        match queued {
            Ok(None) => Ok(None),
            Ok(Some(mark)) => Ok(Some(Box::new(move || {
                mark.wait().map_err(|error| failed(MemoryError::from(error).into()))
            }))),
            Err(error) => Err(failed(error)),
        }
    }

    fn takes(&self, request: &Request) -> Result<()> {
        for (port, input) in self.ports.inputs.iter().zip(&request.inputs) {
            let Some(input) = input else { continue };
            let tensor = (port.data_type, &input.shape, [].as_slice());
            port.guard.check(&self.ports.model, || port.name.to_string_lossy().into_owned(), tensor)?;
        }
        Ok(())
    }

    fn input_memory(&self, input: usize) -> InputMemory<'_> {
        match &self.runs {
            Runs::Bound(runs) if runs.is_on_host(input) => InputMemory::default(),
            // The runs are on the stream that the memory belongs to.
            Runs::Bound(_) => {
                InputMemory { allocator: Some(&*self.on.allocator), fixed: false, in_order: true }
            }
            Runs::Graphs(_) => {
                InputMemory { allocator: Some(&*self.on.allocator), fixed: true, in_order: true }
            }
        }
    }

    fn padded_rows(&self, rows: usize) -> usize {
        match &self.runs {
            Runs::Bound(runs) if !runs.is_by_size() => rows,
            _ => self.sizes.padded(rows),
        }
    }

    fn pinned_memory(&self) -> Option<&dyn Allocator> {
        self.on.pinned.as_deref()
    }
}
