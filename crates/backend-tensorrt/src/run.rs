//! A run of an engine on a context.

#![allow(
    unsafe_code,
    reason = "gives the engine addresses of memory and the stream that its work is put onto"
)]

use std::ffi::c_void;
use std::sync::Arc;

use hippocamp_backend::{Error, Result};
use hippocamp_batching::Outputs;
use hippocamp_device::{DeviceError, Devices, Stream};
use hippocamp_tensor::{Allocator, PlacedBufferMut};
use hippocamp_tensorrt_sys::{Context, OutputAllocator, capture};
use parking_lot::Mutex;

use crate::bound::Bound;
use crate::engines::{Loaded, failed};
use crate::late_shapes::{LateOutput, Told};
use crate::log;
use crate::output_buffers::{OutputBuffers, whole};
use crate::port::Port;

/// A context, the profile that it has, and the outputs whose shapes its runs tell.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) profile: usize,
    context: Context,
    late: Vec<Option<Arc<Mutex<Told>>>>,
}

/// What runs need beside the context.
pub(crate) struct Around<'a> {
    pub(crate) model: &'a Arc<str>,
    pub(crate) loaded: &'a Loaded,
    pub(crate) devices: &'a Devices,
    pub(crate) stream: &'a Arc<dyn Stream>,
    pub(crate) memory: &'a Arc<dyn Allocator>,
}

/// Where an output of a run is.
#[derive(Debug)]
pub(crate) enum Written {
    /// In its buffer, which the next run overwrites.
    Buffer { shape: Vec<i64>, len: usize },
    /// In memory of its own.
    Own { shape: Vec<i64>, memory: Box<dyn PlacedBufferMut> },
    /// In host memory, once the stream's work is done.
    Host { shape: Vec<i64>, bytes: Vec<u8> },
    /// In memory that the run asked for, with the shape that it told, once the stream's work is done.
    Late(Arc<Mutex<Told>>),
}

impl Around<'_> {
    pub(crate) fn failed(&self, what: &str, logged: &str) -> Error {
        failed(self.model, self.stream.device(), what, logged)
    }

    pub(crate) fn of_device(&self, error: DeviceError) -> Error {
        Error::of_memory(self.model, error.into())
    }
}

impl Active {
    /// Makes a context with a profile.
    pub(crate) fn new(around: &Around<'_>, name: &str, profile: usize, outputs: usize) -> Result<Active> {
        let making = around.loaded.making.lock();
        let (context, messages) = capture(|| {
            let mut context = around.loaded.engine.context()?;
            if let Ok(name) = std::ffi::CString::new(name) {
                context.set_name(&name);
            }
            let profile = profile as i32;
            // SAFETY: the stream is of the engine's device, and waited for below.
            let is_set =
                context.profile() == profile || unsafe { context.set_profile(profile, around.stream.raw()) };
            is_set.then_some(context)
        });
        drop(making);
        let context = context.ok_or_else(|| {
            around.failed(
                &format!("no execution context can be made for profile {profile}"),
                &log::errors(&messages),
            )
        })?;
        around.stream.synchronize().map_err(|error| around.of_device(error))?;
        Ok(Active { profile, context, late: vec![None; outputs] })
    }

    /// Puts a run onto the stream. Outputs for which `is_own` says so get memory of their own, the others are written to
    /// their buffers.
    pub(crate) fn start(
        &mut self,
        around: &Around<'_>,
        inputs: &[Bound<'_>],
        outputs: &[Port],
        buffers: &mut OutputBuffers,
        is_own: impl Fn(usize) -> bool,
    ) -> Result<Vec<Written>> {
        let (result, messages) = capture(|| {
            self.set_inputs(around, inputs)?;
            let written = outputs
                .iter()
                .enumerate()
                .map(|(index, port)| self.place_output(around, index, port, buffers, is_own(index)));
            let mut written = written.collect::<Result<Vec<Written>>>()?;
            for (port, written) in outputs.iter().zip(&mut written) {
                let address = match written {
                    Written::Host { bytes, .. } => bytes.as_mut_ptr() as u64,
                    _ => continue,
                };
                self.set_address(around, port, address)?;
            }
            // A part may have been queued, and writes to this memory.
            self.enqueue(around).inspect_err(|_| drop(around.stream.synchronize()))?;
            Ok(written)
        });
        result.map_err(|error: Error| {
            let logged = log::errors(&messages);
            // An error that is not of the library's own making says it all.
            if logged.is_empty() { error } else { around.failed(error.message(), &logged) }
        })
    }

    /// Puts the run that was started last onto the stream once more.
    pub(crate) fn enqueue(&mut self, around: &Around<'_>) -> Result<()> {
        // SAFETY: the stream is of the engine's device, which is current on this thread; `bind` and `place_output` have set
        // addresses of memory that lives until the stream's work is done, as it is freed in the order of the stream or after it.
        if unsafe { self.context.enqueue(around.stream.raw()) } {
            Ok(())
        } else {
            Err(around.failed("its execution cannot be queued", ""))
        }
    }

    fn set_inputs(&mut self, around: &Around<'_>, inputs: &[Bound<'_>]) -> Result<()> {
        for input in inputs {
            if let Some(slice) = input.slice {
                around.stream.wait_for(slice).map_err(|error| around.of_device(error))?;
            }
            if !self.context.set_input_shape(&input.port.text, &input.dims) {
                let what = format!("input '{}' does not take the shape {:?}", input.port.name(), input.dims);
                return Err(around.failed(&what, ""));
            }
            self.set_address(around, input.port, input.address)?;
        }
        match self.context.infer_shapes() {
            0 => Ok(()),
            _ => Err(around.failed("the shapes of its inputs do not fit each other", "")),
        }
    }

    fn set_address(&mut self, around: &Around<'_>, port: &Port, address: u64) -> Result<()> {
        // SAFETY: the caller's address is of memory in the place that the engine says for the tensor, of the size of its shape.
        if unsafe { self.context.set_address(&port.text, address as *mut c_void) } {
            Ok(())
        } else {
            Err(around.failed(&format!("the address of '{}' is refused", port.name()), ""))
        }
    }

    fn place_output(
        &mut self,
        around: &Around<'_>,
        index: usize,
        port: &Port,
        buffers: &mut OutputBuffers,
        is_own: bool,
    ) -> Result<Written> {
        let of_memory = |error| Error::of_memory(around.model, error);
        let shape = self.context.shape(&port.text).and_then(|dims| dims.get().map(<[i64]>::to_vec));
        let shape =
            shape.ok_or_else(|| around.failed(&format!("output '{}' has no shape", port.name()), ""))?;
        if shape.contains(&-1) {
            return self.late_output(around, index, port);
        }
        let len = port.size(around.model, &shape)?;
        if port.tensor.on_host {
            // Its address is set when it stays where it is.
            return Ok(Written::Host { shape, bytes: vec![0; len.max(8)] });
        }
        let (written, address) = if is_own {
            let memory = around.memory.allocate(len.max(1)).map_err(of_memory)?;
            let address = around.devices.address(whole(&*memory, len));
            (Written::Own { shape, memory }, address)
        } else {
            buffers.reserve(index, len, &**around.memory).map_err(of_memory)?;
            (Written::Buffer { shape, len }, buffers.address(index, around.devices))
        };
        let address =
            address.ok_or_else(|| around.failed(&format!("output '{}' has no address", port.name()), ""))?;
        self.set_address(around, port, address)?;
        Ok(written)
    }

    fn late_output(&mut self, around: &Around<'_>, index: usize, port: &Port) -> Result<Written> {
        if let Some(told) = &self.late[index] {
            *told.lock() = Told::default();
            return Ok(Written::Late(Arc::clone(told)));
        }
        let told: Arc<Mutex<Told>> = Arc::default();
        let memory = LateOutput {
            told: Arc::clone(&told),
            memory: Arc::clone(around.memory),
            devices: around.devices.clone(),
        };
        let allocator = OutputAllocator::new(around.loaded.library.layout(), Box::new(memory));
        if !self.context.set_output_allocator(&port.text, allocator) {
            return Err(around.failed(&format!("the allocator of output '{}' is refused", port.name()), ""));
        }
        self.late[index] = Some(Arc::clone(&told));
        Ok(Written::Late(told))
    }
}

/// Waits for a run, and hands its outputs over. Whoever copies them does so on streams that know nothing of the run.
pub(crate) fn deliver(
    around: &Around<'_>,
    written: Vec<Written>,
    ports: &[Port],
    (buffers, pinned): (&OutputBuffers, Option<&dyn Allocator>),
    outputs: &mut Outputs,
) -> Result<()> {
    let of_memory = |error| Error::of_memory(around.model, error);
    around.stream.synchronize().map_err(|error| around.of_device(error))?;
    for (index, written) in written.iter().enumerate() {
        if let Written::Buffer { shape, len } = written {
            let source = buffers.get(index, *len);
            let source = source.ok_or_else(|| around.failed("an output has no buffer", ""))?;
            outputs
                .copy(index, shape.as_slice().into(), source, &**around.memory, pinned)
                .map_err(of_memory)?;
        }
    }
    for ((index, written), port) in written.into_iter().enumerate().zip(ports) {
        match written {
            Written::Buffer { .. } => {}
            Written::Own { shape, memory } => {
                outputs.set(index, shape.as_slice().into(), part(memory, port, &shape));
            }
            Written::Host { mut shape, mut bytes } => {
                bytes.truncate(port.size(around.model, &shape)?);
                if port.has_batch_value
                    && let Some(values) = shape.first_mut().filter(|values| **values > 0)
                {
                    *values -= 1;
                    bytes.drain(..port.value_bytes(0).len());
                }
                outputs.set(index, shape.as_slice().into(), bytes::Bytes::from(bytes));
            }
            Written::Late(told) => {
                let told = std::mem::take(&mut *told.lock());
                if let Some(fault) = told.fault {
                    return Err(of_memory(fault));
                }
                let (Some(memory), Some(shape)) = (told.memory, told.shape) else {
                    return Err(
                        around.failed(&format!("a run told no shape of output '{}'", port.name()), "")
                    );
                };
                outputs.set(index, shape.as_slice().into(), part(memory, port, &shape));
            }
        }
    }
    Ok(())
}

/// The bytes of an output at the begin of its memory, which may be larger.
fn part(memory: Box<dyn PlacedBufferMut>, port: &Port, shape: &[i64]) -> hippocamp_tensor::TensorData {
    let len =
        hippocamp_tensor::Shape::from(shape).byte_size(port.tensor.data_type).unwrap_or(0).min(memory.len());
    let memory: Arc<dyn hippocamp_tensor::PlacedBuffer> = Arc::<dyn PlacedBufferMut>::from(memory);
    hippocamp_tensor::TensorData::part_of(memory, 0, len)
}
