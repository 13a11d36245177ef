//! Runs by CUDA graphs, one for each shape of the inputs.
//!
//! What a session prepares for one shape it drops when it prepares for another, and with it kernels that were compiled for that
//! shape. A graph that was captured with them then fails when it is replayed, by an illegal instruction that ends the use of the
//! GPU for the whole process. So where something is prepared, each shape has a session of its own, which never sees another one.

#![allow(unsafe_code, reason = "hands addresses of device memory to the engine, and keeps that memory")]

use std::time::Instant;

use hippocamp_backend::{Error, Result};
use hippocamp_batching::Outputs;
use hippocamp_device::{Mark, capture_turn};
use hippocamp_tensor::{MemoryError, PlacedBufferMut, PlacedSlice, Shape};
use ort::session::{RunOptions, Session};
use smallvec::SmallVec;
use tracing::debug;

use super::bound_runs::BoundRuns;
use super::counters::PlanCounters;
use super::errors::is_out_of_memory;
use super::plan_cache::{Key, PlanCache};
use super::ports::{OnDevice, Ports};
use super::session_maker::SessionMaker;
use crate::element_type::raw;
use crate::error::engine;
use crate::ffi::binding::{Binding, release_graph};
use crate::ffi::value::Value;

/// The entry of a run that names its graph.
const GRAPH: &str = "gpu_graph_id";

/// The graph of runs that are neither captured nor replayed.
const NO_GRAPH: &str = "-1";

/// The graphs of one session. They are captured, replayed and released on one thread.
pub(super) struct Graphs {
    /// Declared before what they refer to, so that they are dropped first.
    plans: PlanCache<Plan>,
    /// The session of all plans, if they can share one.
    shared: Option<Session>,
    /// Otherwise a session for the next plan, if there is one already.
    spare: Option<Session>,
    /// A buffer for each output, as large as the largest plan needs it; `None` for one that no plan has had yet.
    outputs: Vec<Option<Box<dyn PlacedBufferMut>>>,
    next_id: i32,
    maker: SessionMaker,
    /// The options of a run without a graph.
    prepares: RunOptions,
}

/// A captured run for one shape of the inputs.
struct Plan {
    id: i32,
    /// Keeps its session, which may be this plan's alone.
    binding: Binding,
    options: RunOptions,
    /// The addresses of the inputs.
    inputs: Vec<Option<u64>>,
    /// The shape and the size in bytes of each output.
    outputs: Vec<(Shape, usize)>,
}

/// Why there is no plan.
pub(super) enum NoPlan {
    /// The run itself fails.
    Run(Error),
    /// The run cannot be captured.
    Capture(Error),
}

impl Graphs {
    /// No graph yet, and up to `limit` later. `entries` are the options of every run. `session` is that of
    /// all plans, or of the first one if `is_shared` is not set.
    pub(super) fn new(
        (maker, session, is_shared): (SessionMaker, Session, bool),
        limit: usize,
        outputs: usize,
        entries: &[(String, String)],
    ) -> Result<Graphs> {
        let mut prepares = bound_options(entries)?;
        prepares.set(GRAPH, NO_GRAPH).map_err(engine)?;
        let outputs = (0..outputs).map(|_| None).collect();
        let (shared, spare) = if is_shared { (Some(session), None) } else { (None, Some(session)) };
        Ok(Graphs { plans: PlanCache::new(limit), shared, spare, outputs, next_id: 1, maker, prepares })
    }

    pub(super) fn count(&self) -> usize {
        self.plans.len()
    }

    /// Runs without graphs instead, in a new session.
    pub(super) fn without(&self, ports: &Ports, entries: &[(String, String)]) -> Result<BoundRuns> {
        let session = self.maker.open(false)?;
        BoundRuns::new(vec![(0, session)], bound_options(entries)?, ports)
    }

    /// Whether there is a plan for these shapes, over inputs at these addresses. A plan for other addresses is dropped.
    pub(super) fn has_plan(&mut self, key: &Key, inputs: &[Option<u64>]) -> bool {
        match self.plans.get(key) {
            Some(plan) if plan.inputs == inputs => true,
            Some(_) => {
                if let Some(plan) = self.plans.remove(key) {
                    self.release(plan);
                }
                false
            }
            None => false,
        }
    }

    /// Makes a plan: a run that prepares the shapes, and one that is captured. `missed` if a request waits for it.
    pub(super) fn make(
        &mut self,
        key: Key,
        inputs: &[Option<u64>],
        (on, ports): (&OnDevice, &Ports),
        (entries, counters, missed): (&[(String, String)], &PlanCounters, bool),
    ) -> Result<(), NoPlan> {
        let began = Instant::now();
        // Before the session of the new one, so that there are never more than the limit.
        if let Some(oldest) = self.plans.make_room() {
            self.release(oldest);
            counters.dropped();
        }
        let own;
        let session = match (&self.shared, self.spare.take()) {
            (Some(shared), _) => shared,
            (None, spare) => {
                own = spare.map_or_else(|| self.maker.open(true), Ok).map_err(NoPlan::Run)?;
                &own
            }
        };
        let (mut binding, outputs) = self.prepare(session, &key, inputs, (on, ports))?;
        for (index, ((shape, size), port)) in outputs.iter().zip(&ports.outputs).enumerate() {
            let address = self.output_buffer(index, *size, on).map_err(NoPlan::Run)?;
            // SAFETY: the buffer has at least that size. It is kept until all plans over it are dropped.
            let value = unsafe { Value::over_device(&on.memory, (port.data_type, shape), address, *size) };
            binding.output(&port.name, &value.map_err(NoPlan::Run)?).map_err(NoPlan::Run)?;
        }
        let prepared = began.elapsed();
        let id = self.next_id;
        self.next_id += 1;
        let options = graph_options(entries, &id.to_string()).map_err(NoPlan::Run)?;
        {
            let _turn = capture_turn();
            if let Err(error) = binding.run(&options) {
                // The engine may have left the stream as it was then.
                on.stream.abandon_capture();
                // Memory that is short now says nothing of the model.
                let is_short = is_out_of_memory(&error);
                return Err(if is_short { NoPlan::Run(error) } else { NoPlan::Capture(error) });
            }
        }
        let shapes = key.iter().flatten().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        debug!(
            model = &*ports.model,
            "a plan for {shapes} was made in {prepared:?}, and captured in {:?}",
            began.elapsed().saturating_sub(prepared)
        );
        self.plans.insert(key, Plan { id, binding, options, inputs: inputs.to_vec(), outputs });
        counters.made(missed, began.elapsed());
        Ok(())
    }

    /// Runs once without a graph, so that the engine prepares for these shapes. Returns the inputs, bound, and what the outputs
    /// will be.
    fn prepare(
        &self,
        session: &Session,
        key: &Key,
        inputs: &[Option<u64>],
        (on, ports): (&OnDevice, &Ports),
    ) -> Result<(Binding, Vec<(Shape, usize)>), NoPlan> {
        let mut binding = Binding::new(session).map_err(NoPlan::Run)?;
        for ((port, shape), address) in ports.inputs.iter().zip(key).zip(inputs) {
            let (Some(shape), Some(address)) = (shape, address) else { continue };
            let size = shape.byte_size(port.data_type).unwrap_or(0);
            // SAFETY: the batch was gathered there, or the buffer was allocated for it. Runs at another address are none of
            // this plan.
            let value = unsafe { Value::over_device(&on.memory, (port.data_type, shape), *address, size) };
            binding.input(&port.name, &value.map_err(NoPlan::Run)?).map_err(NoPlan::Run)?;
        }
        for port in &ports.outputs {
            binding.output_in(&port.name, &on.memory).map_err(NoPlan::Run)?;
        }
        binding.run(&self.prepares).map_err(NoPlan::Run)?;
        let mut outputs = Vec::new();
        for (port, value) in ports.outputs.iter().zip(binding.outputs().map_err(NoPlan::Run)?) {
            let (element, shape) = value.describe().map_err(NoPlan::Run)?;
            if element != raw(port.data_type) {
                return Err(NoPlan::Run(port.of_another_type(&ports.model)));
            }
            if value.is_on_host().map_err(NoPlan::Run)? {
                let name = port.name.to_string_lossy();
                return Err(NoPlan::Capture(Error::internal(format!("output '{name}' is made on the CPU"))));
            }
            let size = shape.byte_size(port.data_type).unwrap_or(0);
            let address = value.address().map_err(NoPlan::Run)?;
            if size > 0 && inputs.contains(&Some(address)) {
                // The engine would hand back the input's memory, and not write to the buffer that is bound.
                let name = port.name.to_string_lossy();
                return Err(NoPlan::Capture(Error::internal(format!("output '{name}' is an input"))));
            }
            outputs.push((shape, size));
        }
        Ok((binding, outputs))
    }

    /// The address of an output's buffer, which has at least `size` bytes. A larger one takes the place of one that is too small;
    /// plans over that one are dropped.
    fn output_buffer(&mut self, index: usize, size: usize, on: &OnDevice) -> Result<u64> {
        let is_enough = self.outputs[index].as_ref().is_some_and(|buffer| buffer.len() >= size);
        if !is_enough {
            while let Some(plan) = self.plans.pop() {
                self.release(plan);
            }
            // The old one is freed first, so that there are never both.
            self.outputs[index] = None;
            self.outputs[index] = Some(on.allocator.allocate(size.max(1)).map_err(Error::from)?);
        }
        match &self.outputs[index] {
            Some(buffer) => on.address(PlacedSlice::Placed { buffer: &**buffer, start: 0, len: size }),
            None => Ok(0),
        }
    }

    /// Queues a replay of the plan for these shapes, which is there, and copies of the outputs that are wanted. Returns the point behind
    /// them.
    pub(super) fn replay(
        &mut self,
        key: &Key,
        (on, ports): (&OnDevice, &Ports),
        outputs: &mut Outputs,
    ) -> Result<Box<dyn Mark>> {
        let plan =
            self.plans.get(key).ok_or_else(|| Error::internal("a plan was expected, there is none"))?;
        for buffer in self.outputs.iter().flatten() {
            // Whoever reads the outputs of the batch before: nobody, unless that failed halfway.
            let whole = PlacedSlice::Placed { buffer: &**buffer, start: 0, len: buffer.len() };
            on.stream.wait_for(whole).map_err(MemoryError::from)?;
        }
        plan.binding.run(&plan.options)?;
        let made = plan.outputs.iter().zip(&ports.outputs).zip(&self.outputs).enumerate();
        let mut copies = SmallVec::<[(usize, Shape, PlacedSlice<'_>); 8]>::new();
        for (index, (((shape, size), port), buffer)) in made {
            let (true, Some(buffer)) = (outputs.is_wanted(index), buffer) else { continue };
            let shape = port.scalar.as_ref().unwrap_or(shape).clone();
            copies.push((index, shape, PlacedSlice::Placed { buffer: &**buffer, start: 0, len: *size }));
        }
        // The replay may not be complete yet: what reads the buffers comes behind it.
        let sources = copies.iter().map(|(.., source)| *source).collect::<SmallVec<[_; 8]>>();
        on.stream.used_all(&sources).map_err(MemoryError::from)?;
        outputs.copy_all(copies, &*on.allocator, on.pinned.as_deref())?;
        Ok(on.stream.mark().map_err(MemoryError::from)?)
    }

    fn release(&self, plan: Plan) {
        if let Some(session) = &self.shared
            && let Err(error) = release_graph(session, plan.id)
        {
            debug!("the graph of a plan is kept: {error}");
        }
        drop(plan);
    }
}

/// The options of a run that is captured and replayed. Nobody waits for a replay but those who copy its outputs, which are queued
/// while it runs.
fn graph_options(entries: &[(String, String)], graph: &str) -> Result<RunOptions> {
    let mut options = bound_options(entries)?;
    options.set(GRAPH, graph).map_err(engine)?;
    options.disable_device_sync().map_err(engine)?;
    Ok(options)
}

/// The options of a run without graphs.
pub(super) fn bound_options(entries: &[(String, String)]) -> Result<RunOptions> {
    let mut options = RunOptions::new().map_err(engine)?;
    for (key, value) in entries {
        options.set(key, value).map_err(engine)?;
    }
    Ok(options)
}
