//! Makes the instances of a model on a GPU, with their plans.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use hippocamp_backend::{Error, InstanceSpec, Result};
use hippocamp_batching::{Gather, PlanSizes};
use hippocamp_model_config::Signature;
use hippocamp_tensor::{DataType, PlacedBufferMut, PlacedSlice, Shape};
use tracing::{info, warn};

use super::bound_runs::BoundRuns;
use super::counters::PlanCounters;
use super::errors::{is_out_of_memory, of_plan};
use super::graphs::{Graphs, NoPlan, bound_options};
use super::instance::{GpuInstance, Runs};
use super::mode::Capturing;
use super::plan_cache::Key;
use super::ports::{OnDevice, Ports};
use super::session_maker::{Content, SessionMaker};
use super::shapes::{has_open_sizes, may_miss, shapes_of};
use crate::Settings;
use crate::ffi::binding::inputs_on_host;
use crate::guard::Guard;
use crate::options::Options;
use crate::ports::ports;
use crate::runtime::Runtime;
use crate::session::Placement;

/// What instances on GPUs are made of.
#[derive(Clone, Copy)]
pub(crate) struct Prepared<'a> {
    pub(crate) name: &'a Arc<str>,
    pub(crate) file: &'a Path,
    pub(crate) options: &'a Options,
    pub(crate) runtime: &'a Arc<Runtime>,
    pub(crate) settings: &'a Settings,
    pub(crate) signature: &'a Signature,
    pub(crate) guard: &'a Guard,
    pub(crate) capturing: &'a Capturing,
    /// Whether the engine prepares for the shapes of inputs.
    pub(crate) needs_preparation: bool,
    pub(crate) counters: &'a Arc<PlanCounters>,
    /// What the files had, for a model whose instances make sessions while they serve.
    pub(crate) content: Option<&'a Arc<Content>>,
    pub(crate) placement: Placement,
    /// The instances that the config asks for.
    pub(crate) instances: usize,
}

/// Why an instance has no graphs.
enum NoGraphs {
    /// The instance cannot be made.
    Fault(Error),
    /// The model cannot be captured.
    Capture(Error),
}

/// The buffers of inputs, into which batches are gathered.
type Buffers = Vec<Option<Box<dyn PlacedBufferMut>>>;

/// Makes an instance on the GPU `id`, on the calling thread.
pub(crate) fn prepare(model: &Prepared<'_>, spec: &InstanceSpec, id: i32) -> Result<(GpuInstance, Gather)> {
    let on = OnDevice::new(model.name, &model.settings.devices, id)?;
    let sizes = PlanSizes::from_config(&spec.config, &spec.interface)?;
    let ports = Ports {
        model: Arc::clone(model.name),
        inputs: ports(model.name, spec.interface.all_inputs(), &model.signature.inputs, model.guard)?,
        outputs: ports(model.name, spec.interface.all_outputs(), &model.signature.outputs, model.guard)?,
    };
    let (entries, counters) = (model.options.run_entries.clone(), Arc::clone(model.counters));
    let (runs, buffers) = match graphs(model, spec, (&on, &ports), &sizes) {
        None => (bound(model, spec, (&on, &ports), &sizes)?, Buffers::new()),
        Some(Ok((graphs, buffers))) => (Runs::Graphs(Box::new(graphs)), buffers),
        Some(Err(NoGraphs::Fault(error))) => return Err(error),
        Some(Err(NoGraphs::Capture(error))) => {
            let runs = bound(model, spec, (&on, &ports), &sizes)?;
            if model.capturing.give_up() {
                let model = &**model.name;
                warn!(
                    model,
                    "it is served without CUDA graphs, because its runs cannot be captured: {error}"
                );
            }
            (runs, Buffers::new())
        }
    };
    let instance = GpuInstance { runs, ports, sizes, entries, counters, on };
    Ok((instance, Gather::with_buffers(buffers)))
}

/// Runs by graphs, with a plan for each size; `None` if the model is better without.
fn graphs(
    model: &Prepared<'_>,
    spec: &InstanceSpec,
    (on, ports): (&OnDevice, &Ports),
    sizes: &PlanSizes,
) -> Option<Result<(Graphs, Buffers), NoGraphs>> {
    let is_open = has_open_sizes(&spec.interface);
    let has_strings = ports.inputs.iter().chain(&ports.outputs).any(|port| port.data_type == DataType::Bytes);
    // Without preparation any shape is as good as another, and there may be many.
    let is_better = !has_strings && (model.needs_preparation || !is_open);
    if !model.capturing.is_possible() || !is_better {
        return None;
    }
    Some(make_graphs(model, spec, (on, ports), sizes, is_open))
}

fn make_graphs(
    model: &Prepared<'_>,
    spec: &InstanceSpec,
    (on, ports): (&OnDevice, &Ports),
    sizes: &PlanSizes,
    is_open: bool,
) -> Result<(Graphs, Buffers), NoGraphs> {
    let maker = maker(model, on);
    let session = maker.open(true).map_err(|error| {
        if is_out_of_memory(&error) {
            NoGraphs::Fault(of_plan(model.name, on.id, "its weights", error))
        } else {
            NoGraphs::Capture(error)
        }
    })?;
    let on_host = inputs_on_host(&session).map_err(NoGraphs::Fault)?;
    if let Some(input) =
        session.inputs().iter().zip(on_host).find_map(|(input, on_host)| on_host.then_some(input))
    {
        let why = format!("input '{}' is read on the CPU", input.name());
        return Err(NoGraphs::Capture(Error::unsupported(why)));
    }
    let wanted = if sizes.is_empty() { vec![1] } else { sizes.as_slice().to_vec() };
    let limit = model.options.plan_cache_size.max(if is_open { 1 } else { wanted.len() });
    let entries = &model.options.run_entries;
    let sessions = (maker, session, !model.needs_preparation);
    let mut graphs = Graphs::new(sessions, limit, ports.outputs.len(), entries).map_err(NoGraphs::Fault)?;
    // The largest first, so that the buffers are large enough for all.
    let shapes: Option<Vec<(usize, Key)>> =
        wanted.iter().rev().map(|rows| Some((*rows, shapes_of(&spec.interface, *rows)?))).collect();
    let Some(shapes) = shapes.filter(|_| !is_open) else { return Ok((graphs, Buffers::new())) };
    let began = Instant::now();
    let (buffers, addresses) = input_buffers(&shapes, on, ports).map_err(NoGraphs::Fault)?;
    let count = shapes.len();
    for (index, (rows, key)) in shapes.into_iter().enumerate() {
        let key = scalars(key, ports);
        let made = graphs.make(key, &addresses, (on, ports), (entries, model.counters, false));
        made.map_err(|why| match why {
            NoPlan::Run(error) if is_out_of_memory(&error) => {
                NoGraphs::Fault(of_plan(model.name, on.id, &format!("a batch of {rows}"), error))
            }
            NoPlan::Run(error) | NoPlan::Capture(error) => NoGraphs::Capture(error),
        })?;
        info!(
            model = &**model.name,
            instance = spec.name,
            "the plan for a batch of {rows} is ready, {} of {count} after {:.1} s",
            index + 1,
            began.elapsed().as_secs_f64()
        );
    }
    Ok((graphs, buffers))
}

/// The shapes with those of scalars as the model has them.
fn scalars(key: Key, ports: &Ports) -> Key {
    let shapes = key.into_iter().zip(&ports.inputs);
    shapes
        .map(|(shape, port)| shape.map(|shape| if port.scalar.is_some() { Shape::default() } else { shape }))
        .collect()
}

/// A buffer for each input that is large enough for the first of the shapes, and its address.
fn input_buffers(
    shapes: &[(usize, Key)],
    on: &OnDevice,
    ports: &Ports,
) -> Result<(Buffers, Vec<Option<u64>>)> {
    let mut buffers = Buffers::new();
    let mut addresses = Vec::new();
    let largest = shapes.first().map(|(_, key)| key.as_slice()).unwrap_or_default();
    for (port, shape) in ports.inputs.iter().zip(largest) {
        let Some(shape) = shape else {
            buffers.push(None);
            addresses.push(None);
            continue;
        };
        let size = shape.byte_size(port.data_type).unwrap_or(0);
        let failed = |error| of_plan(&ports.model, on.id, "its inputs", Error::from(error));
        let mut buffer = on.allocator.allocate(size.max(1)).map_err(failed)?;
        buffer.fill_zeros(0, size).map_err(failed)?;
        addresses.push(Some(on.address(PlacedSlice::Placed { buffer: &*buffer, start: 0, len: size })?));
        buffers.push(Some(buffer));
    }
    Ok((buffers, addresses))
}

/// Runs without graphs, tried out with each size.
fn bound(
    model: &Prepared<'_>,
    spec: &InstanceSpec,
    (on, ports): (&OnDevice, &Ports),
    sizes: &PlanSizes,
) -> Result<Runs> {
    // TensorRT builds an engine for the shapes that it has seen.
    let is_prepared = model.needs_preparation || model.options.providers.build_engines();
    let by_size = is_prepared && !sizes.is_empty() && !has_open_sizes(&spec.interface);
    let wanted = if by_size { sizes.as_slice().to_vec() } else { vec![0] };
    let maker = maker(model, on);
    let opened = || {
        maker.open(false).map_err(|error| {
            if is_out_of_memory(&error) { of_plan(model.name, on.id, "its weights", error) } else { error }
        })
    };
    let sessions = wanted.iter().map(|rows| Ok((*rows, opened()?)));
    let sessions = sessions.collect::<Result<Vec<_>>>()?;
    let runs = BoundRuns::new(sessions, bound_options(&model.options.run_entries)?, ports)?;
    let largest = usize::try_from(spec.interface.max_batch_size).unwrap_or(0).max(1);
    let tried = if by_size { wanted } else { vec![largest] };
    for rows in tried.into_iter().rev() {
        let Some(key) = shapes_of(&spec.interface, rows) else { continue };
        let began = Instant::now();
        let key = scalars(key, ports);
        match runs.try_out((&key, rows), on, ports) {
            Ok(()) => model.counters.made(false, began.elapsed()),
            Err(error) if is_out_of_memory(&error) => {
                return Err(of_plan(model.name, on.id, &format!("a batch of {rows}"), error));
            }
            Err(error) => {
                let model = &**model.name;
                warn!(model, "a batch of {rows} was tried out with zeros, which it does not take: {error}");
            }
        }
    }
    if is_prepared && !by_size && may_miss(sizes, &spec.interface) {
        warn!(
            model = &**model.name,
            "it is prepared anew whenever the shape of a batch changes, which takes up to seconds"
        );
    }
    Ok(Runs::Bound(runs))
}

fn maker(model: &Prepared<'_>, on: &OnDevice) -> SessionMaker {
    SessionMaker {
        runtime: Arc::clone(model.runtime),
        model: Arc::clone(model.name),
        file: model.file.to_owned(),
        content: model.content.map(Arc::clone),
        options: model.options.clone(),
        placement: model.placement,
        stream: on.stream.raw() as usize,
        instances: model.instances,
    }
}
