//! Streams of a GPU.

use std::any::Any;
use std::ffi::c_void;
use std::sync::Arc;

use cudarc::driver::sys::{CUmemoryPool, CUstream};
use hippocamp_tensor::{Allocator, MemoryError, Place, PlacedBufferMut, PlacedSlice};

use super::event::Event;
use super::gpu::{Active, Gpu};
use super::graph;
use super::memory::{DeviceMemory, Owner};
use super::pending::Pending;
use super::pinned::{PinnedMemory, PinnedPool};
use super::status;
use crate::{DeviceError, Graph, Mark, Stream};

/// A stream of a GPU.
#[derive(Debug)]
pub(super) struct CudaStream {
    pub(super) gpu: Arc<Gpu>,
    pub(super) stream: CUstream,
    pub(super) pinned: Arc<PinnedPool>,
}

// SAFETY: streams of the driver may be used by all threads.
unsafe impl Send for CudaStream {}
// SAFETY: as above.
unsafe impl Sync for CudaStream {}

impl CudaStream {
    pub(super) fn new(gpu: &Arc<Gpu>, pinned: &Arc<PinnedPool>) -> Result<CudaStream, DeviceError> {
        let (_, _entered) = gpu.enter()?;
        Ok(CudaStream { gpu: Arc::clone(gpu), stream: gpu.create_stream()?, pinned: Arc::clone(pinned) })
    }

    /// Memory of the device that belongs to this stream, from the pool if the device has one.
    pub(super) fn allocate(self: &Arc<Self>, size: usize) -> Result<DeviceMemory, DeviceError> {
        let (active, _entered) = self.gpu.enter()?;
        if size == 0 {
            return Ok(DeviceMemory::new(Arc::clone(self), 0, 0, Owner::Nobody));
        }
        let out_of_memory = DeviceError::OutOfMemory { device: self.gpu.id(), size };
        let take = || match active.pool {
            Some(pool) => self.take_from(pool, size),
            None => self.take(size),
        };
        let taken = match take() {
            Err(DeviceError::OutOfMemory { .. }) => {
                self.give_back_unused(active)?;
                take()
            }
            taken => taken,
        };
        let address = taken.map_err(|error| match error {
            DeviceError::OutOfMemory { .. } => out_of_memory,
            other => other,
        })?;
        let owner = if active.pool.is_some() { Owner::Pool } else { Owner::Driver };
        let memory = DeviceMemory::new(Arc::clone(self), address, size, owner);
        // Other streams may use it only once it is allocated.
        memory.pending.add(self.stream, Arc::new(Event::record(&self.gpu, self.stream)?));
        Ok(memory)
    }

    /// Memory of the device that is an allocation of the driver by itself, whatever pool there is.
    pub(super) fn allocate_alone(self: &Arc<Self>, size: usize) -> Result<DeviceMemory, DeviceError> {
        let (_, _entered) = self.gpu.enter()?;
        let address = self.take(size).map_err(|error| match error {
            DeviceError::OutOfMemory { device, .. } => DeviceError::OutOfMemory { device, size },
            other => other,
        })?;
        Ok(DeviceMemory::new(Arc::clone(self), address, size, Owner::Driver))
    }

    fn take_from(&self, pool: CUmemoryPool, size: usize) -> Result<u64, DeviceError> {
        let mut address = 0;
        // SAFETY: writes the address.
        let status =
            unsafe { (self.gpu.functions.allocate_from_pool)(&raw mut address, size, pool, self.stream) };
        self.gpu.check("allocate memory", status)?;
        Ok(address)
    }

    fn take(&self, size: usize) -> Result<u64, DeviceError> {
        let mut address = 0;
        // SAFETY: writes the address.
        let status = unsafe { (self.gpu.functions.allocate)(&raw mut address, size) };
        self.gpu.check("allocate memory", status)?;
        Ok(address)
    }

    /// Has the pool give back what is free once the work of this stream is done.
    fn give_back_unused(&self, active: &Active) -> Result<(), DeviceError> {
        let Some(pool) = active.pool else { return Ok(()) };
        Event::record(&self.gpu, self.stream)?.wait()?;
        // SAFETY: the pool is alive.
        self.gpu.check("trim its pool", unsafe { (self.gpu.functions.trim_pool)(pool, 0) })
    }

    /// What is pending for the buffer of a slice; None for memory that no stream uses.
    fn pending<'a>(slice: &PlacedSlice<'a>) -> Option<&'a Pending> {
        let PlacedSlice::Placed { buffer, .. } = *slice else { return None };
        let any: &dyn Any = buffer;
        any.downcast_ref::<DeviceMemory>()
            .map(|memory| &memory.pending)
            .or_else(|| any.downcast_ref::<PinnedMemory>().map(PinnedMemory::pending))
    }
}

#[allow(unsafe_code, reason = "takes over memory of others")]
impl Stream for CudaStream {
    fn device(&self) -> i32 {
        self.gpu.id()
    }

    fn raw(&self) -> *mut c_void {
        self.stream.cast()
    }

    fn allocator(self: Arc<Self>) -> Arc<dyn Allocator> {
        Arc::new(OnStream(self))
    }

    unsafe fn adopt(
        self: Arc<Self>,
        address: u64,
        len: usize,
        owner: Box<dyn Any + Send + Sync>,
    ) -> Result<Box<dyn PlacedBufferMut>, DeviceError> {
        let (_, _entered) = self.gpu.enter()?;
        let event = Event::record(&self.gpu, self.stream)?;
        let stream = self.stream;
        let memory = DeviceMemory::new(self, address, len, Owner::Other { _owner: owner });
        memory.pending.add(stream, Arc::new(event));
        Ok(Box::new(memory))
    }

    fn wait_for(&self, slice: PlacedSlice<'_>) -> Result<(), DeviceError> {
        let Some(pending) = CudaStream::pending(&slice) else { return Ok(()) };
        let (_, _entered) = self.gpu.enter()?;
        pending.hold(&self.gpu, self.stream)
    }

    fn used(&self, slice: PlacedSlice<'_>) -> Result<(), DeviceError> {
        let Some(pending) = CudaStream::pending(&slice) else { return Ok(()) };
        let (_, _entered) = self.gpu.enter()?;
        pending.add(self.stream, Arc::new(Event::record(&self.gpu, self.stream)?));
        Ok(())
    }

    fn used_all(&self, slices: &[PlacedSlice<'_>]) -> Result<(), DeviceError> {
        let mut pending = slices.iter().filter_map(CudaStream::pending).peekable();
        if pending.peek().is_none() {
            return Ok(());
        }
        let (_, _entered) = self.gpu.enter()?;
        let event = Arc::new(Event::record(&self.gpu, self.stream)?);
        pending.for_each(|pending| pending.add(self.stream, Arc::clone(&event)));
        Ok(())
    }

    fn mark(&self) -> Result<Box<dyn Mark>, DeviceError> {
        let (_, _entered) = self.gpu.enter()?;
        Ok(Box::new(Event::record(&self.gpu, self.stream)?))
    }

    fn synchronize(&self) -> Result<(), DeviceError> {
        let (_, _entered) = self.gpu.enter()?;
        Event::record(&self.gpu, self.stream)?.wait()
    }

    fn make_current(&self) -> Result<(), DeviceError> {
        self.gpu.stay()
    }

    fn capture(
        &self,
        work: &mut dyn FnMut() -> Result<(), DeviceError>,
    ) -> Result<Box<dyn Graph>, DeviceError> {
        graph::capture(self, work)
    }

    fn abandon_capture(&self) {
        graph::abandon(self);
    }
}

impl Drop for CudaStream {
    fn drop(&mut self) {
        let Ok((active, _entered)) = self.gpu.enter() else { return };
        // What the pool kept for the instance that ends is given back. Memory is free once the work of the stream is done.
        if let Err(error) = self.give_back_unused(active) {
            tracing::debug!("{error}");
        }
        // SAFETY: no buffer of the stream is left.
        let status = unsafe { (self.gpu.functions.destroy_stream)(self.stream) };
        if status != status::SUCCESS {
            tracing::debug!("GPU {}: {}", self.gpu.id(), self.gpu.functions.describe(status));
        }
    }
}

/// The allocator of a stream.
#[derive(Debug)]
pub(super) struct OnStream(pub(super) Arc<CudaStream>);

impl Allocator for OnStream {
    fn place(&self) -> Place {
        Place::Device(self.0.gpu.id())
    }

    fn allocate(&self, size: usize) -> Result<Box<dyn PlacedBufferMut>, MemoryError> {
        Ok(Box::new(self.0.allocate(size)?))
    }
}
