//! An instance: its contexts, its stream, and the runs that it has captured.

use std::sync::Arc;

use hippocamp_backend::{Error, InstanceSpec, Request, Result};
use hippocamp_batching::{Batched, Compute, Gather, InputMemory, Inputs, Outputs, PlanSizes, model_shape};
use hippocamp_device::{DeviceError, Devices, Stream};
use hippocamp_model_config::Interface;
use hippocamp_tensor::{Allocator, Place, PlacedBufferMut};
use tracing::{debug, info, warn};

use crate::bound::{Bound, Memory, bind, key};
use crate::engines::Loaded;
use crate::graphs::{Captured, Wanted, wanted};
use crate::output_buffers::{OutputBuffers, whole};
use crate::plan::PlanTensor;
use crate::port::Port;
use crate::profiles::{Given, choose};
use crate::run::{Active, Around, Written, deliver};
use crate::{groups, log};

/// Executes batches. Used and dropped by the thread that made it. Fields are dropped in their order: what uses memory and the
/// stream before these.
pub(crate) struct TensorRtInstance {
    model: Arc<str>,
    interface: Arc<Interface>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    profiles: Vec<usize>,
    graphs: Vec<Captured>,
    /// The batch sizes of the graphs, ascending, if batches can be padded to them.
    sizes: Vec<usize>,
    /// The smallest batch that some profile takes.
    least: usize,
    contexts: Vec<Active>,
    buffers: OutputBuffers,
    /// Where empty tensors are.
    filler: Box<dyn PlacedBufferMut>,
    loaded: Arc<Loaded>,
    memory: Arc<dyn Allocator>,
    pinned: Option<Arc<dyn Allocator>>,
    stream: Arc<dyn Stream>,
    devices: Devices,
}

/// Memory that inputs are gathered into, for those of which runs are captured.
type InputBuffers = Vec<Option<Box<dyn PlacedBufferMut>>>;

/// The bytes at the address of an empty tensor.
const FILLER: usize = 256;

impl TensorRtInstance {
    pub(crate) fn new(
        model: Arc<str>,
        id: i32,
        loaded: Arc<Loaded>,
        devices: &Devices,
        spec: &InstanceSpec,
    ) -> Result<Batched<TensorRtInstance>> {
        let _named = log::of_model(&model);
        let of_device = |error: DeviceError| Error::of_memory(&model, error.into());
        let stream = devices.stream(id).map_err(of_device)?;
        stream.make_current().map_err(of_device)?;
        let memory = Arc::clone(&stream).allocator();
        let interface = Arc::clone(&spec.interface);
        let is_batching = interface.max_batch_size > 0;
        let inputs = Port::all(&model, interface.all_inputs(), &loaded.plan.inputs, is_batching)?;
        let mut outputs = Port::all(&model, interface.all_outputs(), &loaded.plan.outputs, is_batching)?;
        outputs.extend(unlisted(&model, &loaded.plan.outputs, &outputs)?);
        let profiles = groups::profiles(spec, loaded.plan.profile_count)?;
        let filler = memory.allocate(FILLER).map_err(|error| Error::of_memory(&model, error))?;
        let mut instance = TensorRtInstance {
            least: least_batch(&inputs, &profiles, is_batching),
            buffers: OutputBuffers::new(outputs.len()),
            graphs: Vec::new(),
            sizes: Vec::new(),
            contexts: Vec::new(),
            pinned: devices.memory(Place::Pinned),
            devices: devices.clone(),
            model,
            interface,
            inputs,
            outputs,
            profiles,
            filler,
            loaded,
            memory,
            stream,
        };
        for profile in instance.profiles.clone() {
            let active = Active::new(&instance.around(), &spec.name, profile, instance.outputs.len())?;
            instance.contexts.push(active);
        }
        let wanted = wanted(&spec.config, &instance.interface, &instance.inputs)?;
        let buffers = instance.capture(&wanted)?;
        let interface = Arc::clone(&instance.interface);
        Ok(Batched::gathering(instance, interface, Gather::with_buffers(buffers)))
    }

    fn around(&self) -> Around<'_> {
        Around {
            model: &self.model,
            loaded: &self.loaded,
            devices: &self.devices,
            stream: &self.stream,
            memory: &self.memory,
        }
    }

    /// Captures the runs that are wanted. Returns the memory that inputs have to be in for them; none if a run cannot be
    /// captured, of which the log says why.
    fn capture(&mut self, wanted: &[Wanted]) -> Result<InputBuffers> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        if self.inputs.iter().any(|port| port.tensor.on_host) {
            warn!(
                model = &*self.model,
                "it has shape tensors, whose values a CUDA graph would keep: its runs are not captured"
            );
            return Ok(Vec::new());
        }
        // Buffers that a larger batch replaced would be at other addresses than the graphs know.
        let largest = self.largest(wanted);
        let shapes: Vec<&Wanted> = wanted.iter().chain(&largest).collect();
        let buffers = self.input_buffers(&shapes)?;
        if let Some(largest) = &largest {
            // A batch that no profile takes needs no buffers.
            drop(self.captured(largest, &buffers, false));
        }
        // The largest first: its outputs decide on the buffers, whose addresses the graphs keep.
        for wanted in wanted.iter().rev() {
            match self.captured(wanted, &buffers, true) {
                Ok(captured) => self.graphs.extend(captured),
                Err(error) => {
                    let why = error.message();
                    warn!(
                        model = &*self.model,
                        rows = wanted.rows,
                        "a run cannot be captured as a CUDA graph, so its runs are queued one by one: {why}"
                    );
                    self.graphs.clear();
                    return Ok(Vec::new());
                }
            }
        }
        if PlanSizes::why_not_padded(&self.interface).is_none() {
            self.sizes = wanted.iter().map(|wanted| wanted.rows).collect::<PlanSizes>().as_slice().to_vec();
        }
        info!(model = &*self.model, sizes = ?self.sizes, "{} CUDA graphs are captured", self.graphs.len());
        Ok(buffers)
    }

    /// A batch of the most rows that there can be, if that is none of those that are wanted.
    fn largest(&self, wanted: &[Wanted]) -> Option<Wanted> {
        let mut largest = wanted.last()?.clone();
        let rows = self.interface.max_batch_size as usize;
        if rows <= largest.rows {
            return None;
        }
        largest.rows = rows;
        for (port, shape) in self.inputs.iter().zip(&mut largest.shapes) {
            if let Some(batch) = shape.first_mut().filter(|_| !port.spec.is_shape_tensor) {
                *batch = rows as i64;
            }
        }
        Some(largest)
    }

    /// Memory for the largest shape of each input, filled with zeros.
    fn input_buffers(&self, wanted: &[&Wanted]) -> Result<InputBuffers> {
        let buffers = self.inputs.iter().enumerate().map(|(index, port)| {
            let sizes = wanted.iter().map(|wanted| port.size(&self.model, &wanted.shapes[index]));
            let size = sizes.collect::<Result<Vec<usize>>>()?.into_iter().max().unwrap_or(0).max(1);
            let filled = self.memory.allocate(size).and_then(|mut buffer| {
                buffer.fill_zeros(0, size)?;
                buffer.finish()?;
                Ok(buffer)
            });
            filled.map(Some).map_err(|error| Error::of_memory(&self.model, error))
        });
        buffers.collect()
    }

    /// Executes a batch of that shape and captures it, if that is wanted.
    fn captured(
        &mut self,
        wanted: &Wanted,
        buffers: &InputBuffers,
        is_captured: bool,
    ) -> Result<Option<Captured>> {
        let model = Arc::clone(&self.model);
        let around = Around {
            model: &self.model,
            loaded: &self.loaded,
            devices: &self.devices,
            stream: &self.stream,
            memory: &self.memory,
        };
        let inputs = self.inputs.iter().zip(buffers).zip(&wanted.shapes).map(|((port, buffer), shape)| {
            let address = buffer.as_deref().and_then(|buffer| self.devices.address(whole(buffer, 0)));
            Bound::at(&model, port, shape, address.unwrap_or(0))
        });
        let inputs = inputs.collect::<Result<Vec<Bound<'_>>>>()?;
        let given: Vec<Given<'_>> = inputs.iter().map(Bound::given).collect();
        let profile = choose(&self.model, &self.profiles, &given)?;
        let active = self.contexts.iter_mut().find(|active| active.profile == profile);
        let active = active.ok_or_else(|| around.failed("there is no context for the profile", ""))?;
        // The first run after new shapes does work that cannot be captured.
        let written = active.start(&around, &inputs, &self.outputs, &mut self.buffers, |_| false)?;
        let mut shapes = Vec::new();
        for written in &written {
            let Written::Buffer { shape, .. } = written else {
                return Err(around.failed("an output has no shape before a run, or is in host memory", ""));
            };
            shapes.push(shape.clone());
        }
        let of_device = |error: DeviceError| around.of_device(error);
        self.stream.synchronize().map_err(of_device)?;
        if !is_captured {
            return Ok(None);
        }
        let mut refused = None;
        let graph = self.stream.capture(&mut || {
            active.enqueue(&around).map_err(|error| {
                let reason = error.message().into();
                refused = Some(error);
                DeviceError::Failed { device: around.stream.device(), operation: "capture a run", reason }
            })
        });
        let graph = graph.map_err(|error| refused.take().unwrap_or_else(|| of_device(error)))?;
        graph.launch(&*self.stream).map_err(of_device)?;
        self.stream.synchronize().map_err(of_device)?;
        let outputs = (0..self.outputs.len()).filter_map(|index| self.buffers.address(index, &self.devices));
        debug!(model = &*self.model, rows = wanted.rows, profile, "a CUDA graph is captured");
        let (key, outputs) = (key(profile, &inputs), outputs.collect());
        Ok(Some(Captured { key, outputs, shapes, graph }))
    }
}

impl Compute for TensorRtInstance {
    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut Outputs) -> Result<()> {
        let _named = log::of_model(&self.model);
        let around = Around {
            model: &self.model,
            loaded: &self.loaded,
            devices: &self.devices,
            stream: &self.stream,
            memory: &self.memory,
        };
        self.stream.make_current().map_err(|error| around.of_device(error))?;
        let filler = self.devices.address(whole(&*self.filler, 0)).unwrap_or(0);
        let memory = Memory { devices: &self.devices, allocator: &*self.memory, filler };
        let inputs = bind(&self.model, &self.inputs, inputs, &memory)?;
        let given: Vec<Given<'_>> = inputs.iter().map(Bound::given).collect();
        let profile = choose(&self.model, &self.profiles, &given)?;
        let captured = launch(&around, &self.graphs, &self.buffers, profile, &inputs, &self.outputs);
        // A run that was begun may still read the inputs, which are released with the batch.
        let captured = captured.inspect_err(|_| drop(self.stream.synchronize()))?;
        let written = if let Some(written) = captured {
            written
        } else {
            let active = self.contexts.iter_mut().find(|active| active.profile == profile);
            let active = active.ok_or_else(|| around.failed("there is no context for the profile", ""))?;
            let is_own = |index| {
                let places = outputs.places(index);
                places.device && !places.host
            };
            active.start(&around, &inputs, &self.outputs, &mut self.buffers, is_own)?
        };
        let memory = (&self.buffers, self.pinned.as_deref());
        deliver(&around, written, &self.outputs, memory, outputs)
    }

    fn takes(&self, request: &Request) -> Result<()> {
        let is_batching = self.interface.max_batch_size > 0;
        let mut shapes = Vec::new();
        for (port, input) in self.inputs.iter().zip(&request.inputs) {
            // The values of a shape tensor are the same for a whole batch.
            let Some(input) = input.as_ref().filter(|_| !port.tensor.is_shape_tensor) else { continue };
            let mut shape = input.shape.clone();
            if is_batching {
                shape.set_batch(self.padded_rows(request.batch_size) as i64);
            }
            shapes.push((port, model_shape(&port.spec, shape, is_batching)));
        }
        let given: Vec<Given<'_>> =
            shapes.iter().map(|(port, shape)| Given { port, dims: shape, values: None }).collect();
        choose(&self.model, &self.profiles, &given).map(drop)
    }

    fn input_memory(&self, input: usize) -> InputMemory<'_> {
        match self.inputs.get(input) {
            Some(port) if !port.tensor.on_host => InputMemory {
                allocator: Some(&*self.memory),
                fixed: !self.graphs.is_empty(),
                ..InputMemory::default()
            },
            _ => InputMemory::default(),
        }
    }

    fn padded_rows(&self, rows: usize) -> usize {
        if rows == 0 {
            return 0;
        }
        let graph = self.sizes.get(self.sizes.partition_point(|size| *size < rows)).copied();
        graph.unwrap_or(rows).max(self.least)
    }

    fn pinned_memory(&self) -> Option<&dyn Allocator> {
        self.pinned.as_deref()
    }
}

/// Queues a captured run of these inputs; `None` if there is none.
fn launch(
    around: &Around<'_>,
    graphs: &[Captured],
    buffers: &OutputBuffers,
    profile: usize,
    inputs: &[Bound<'_>],
    outputs: &[Port],
) -> Result<Option<Vec<Written>>> {
    let is_same = |captured: &&Captured| {
        let key = &captured.key;
        key.profile == profile
            && key.addresses.iter().zip(inputs).all(|(address, input)| *address == input.address)
            && key.shapes.iter().zip(inputs).all(|(shape, input)| *shape == input.dims)
            // A larger batch than any graph's has replaced the buffers.
            && captured.outputs.iter().enumerate().all(|(n, at)| buffers.address(n, around.devices) == Some(*at))
    };
    let Some(captured) = graphs.iter().find(is_same) else { return Ok(None) };
    captured.graph.launch(&**around.stream).map_err(|error| around.of_device(error))?;
    let written = outputs.iter().zip(&captured.shapes).map(|(port, shape)| {
        Ok(Written::Buffer { shape: shape.clone(), len: port.size(around.model, shape)? })
    });
    written.collect::<Result<Vec<Written>>>().map(Some)
}

/// The outputs that the config leaves out, behind the others: each needs memory in a run, also if nobody can ask for it.
fn unlisted(model: &str, tensors: &[PlanTensor], ports: &[Port]) -> Result<Vec<Port>> {
    let is_unlisted = |tensor: &&PlanTensor| ports.iter().all(|port| port.tensor.name != tensor.name);
    tensors.iter().filter(is_unlisted).map(|tensor| Port::unlisted(model, tensor)).collect()
}

/// The smallest batch that some profile takes.
fn least_batch(inputs: &[Port], profiles: &[usize], is_batching: bool) -> usize {
    if !is_batching {
        return 0;
    }
    let of_profile = |profile: &usize| {
        let batched = inputs.iter().filter(|port| !port.spec.is_shape_tensor);
        let least = batched.filter_map(|port| port.tensor.ranges.get(*profile)?.min.first().copied());
        least.max().unwrap_or(1)
    };
    usize::try_from(profiles.iter().map(of_profile).min().unwrap_or(1)).unwrap_or(1)
}
