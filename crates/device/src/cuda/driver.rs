//! The driver of NVIDIA's GPUs.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use hippocamp_tensor::{Allocator, PlacedBufferMut, PlacedSlice};

use super::exported::{self, Exported};
use super::gpu::Gpu;
use super::memory::DeviceMemory;
use super::nvml::{self, NoFigures};
use super::pinned::{Pinned, PinnedMemory, PinnedPool};
use super::stream::{CudaStream, OnStream};
use crate::{Device, DeviceError, DeviceUse, Driver, ExportedMemory, Figures, PinnedUse, Stream};

/// The driver of NVIDIA's GPUs.
#[derive(Debug)]
pub(super) struct CudaDriver {
    gpus: Vec<Opened>,
    pinned: Arc<PinnedPool>,
}

#[derive(Debug)]
struct Opened {
    gpu: Arc<Gpu>,
    /// For memory that belongs to no stream of a backend. Made by the first use.
    shared: OnceLock<Arc<CudaStream>>,
}

impl CudaDriver {
    /// The driver of these GPUs; None if there are none.
    pub(super) fn new(gpus: Vec<Arc<Gpu>>, pinned_size: usize) -> Option<CudaDriver> {
        let pinned = Arc::new(PinnedPool::new(Arc::clone(gpus.first()?), pinned_size));
        let gpus = gpus.into_iter().map(|gpu| Opened { gpu, shared: OnceLock::new() }).collect();
        Some(CudaDriver { gpus, pinned })
    }

    fn opened(&self, id: i32, operation: &'static str) -> Result<&Opened, DeviceError> {
        let found = self.gpus.iter().find(|opened| opened.gpu.id() == id);
        found.ok_or(DeviceError::Unsupported { device: id, operation })
    }

    /// The stream for memory that belongs to no stream of a backend.
    fn shared(&self, opened: &Opened) -> Result<Arc<CudaStream>, DeviceError> {
        if let Some(stream) = opened.shared.get() {
            return Ok(Arc::clone(stream));
        }
        // If two make one at once, one of them is dropped.
        let stream = CudaStream::new(&opened.gpu, &self.pinned).map(Arc::new)?;
        Ok(Arc::clone(opened.shared.get_or_init(|| stream)))
    }
}

impl Driver for CudaDriver {
    fn devices(&self) -> Vec<Device> {
        self.gpus.iter().map(|opened| opened.gpu.about.clone()).collect()
    }

    fn memory(&self, id: i32) -> Option<Arc<dyn Allocator>> {
        let stream = self.shared(self.opened(id, "allocate memory").ok()?);
        match stream {
            Ok(stream) => Some(Arc::new(OnStream(stream))),
            Err(error) => {
                tracing::error!("{error}");
                None
            }
        }
    }

    fn pinned(&self) -> Option<Arc<dyn Allocator>> {
        Some(Arc::new(Pinned(Arc::clone(&self.pinned))))
    }

    fn stream(&self, id: i32) -> Result<Arc<dyn Stream>, DeviceError> {
        let opened = self.opened(id, "create a stream")?;
        Ok(Arc::new(CudaStream::new(&opened.gpu, &self.pinned)?))
    }

    fn address(&self, slice: PlacedSlice<'_>) -> Option<u64> {
        let PlacedSlice::Placed { buffer, start, .. } = slice else { return None };
        let any: &dyn Any = buffer;
        if let Some(memory) = any.downcast_ref::<DeviceMemory>() {
            return Some(memory.address(start));
        }
        any.is::<PinnedMemory>().then(|| slice.as_host().map(|bytes| bytes.as_ptr() as u64)).flatten()
    }

    fn open_exported(&self, id: i32, handle: &[u8]) -> Result<Arc<dyn ExportedMemory>, DeviceError> {
        let opened = self.opened(id, "open the memory of another process")?;
        Ok(Arc::new(Exported::open(&self.shared(opened)?, handle)?))
    }

    fn export(&self, id: i32, size: usize) -> Result<(Box<dyn PlacedBufferMut>, Vec<u8>), DeviceError> {
        exported::export(&self.shared(self.opened(id, "export memory")?)?, size)
    }

    fn lost(&self, id: i32) -> Option<Box<str>> {
        self.opened(id, "be used").ok()?.gpu.lost()
    }

    fn used_memory(&self, id: i32) -> Result<(u64, u64), DeviceError> {
        let gpu = &self.opened(id, "tell its memory")?.gpu;
        // The management library answers without a context, which takes memory.
        if gpu.if_active().is_none()
            && let Some(Figures { memory_used: Some(used), memory_total: Some(total), .. }) = self.figures(id)
        {
            return Ok((used, total));
        }
        let (free, total) = gpu.memory()?;
        Ok((total.saturating_sub(free) as u64, total as u64))
    }

    fn figures(&self, id: i32) -> Option<Figures> {
        let gpu = &self.opened(id, "be measured").ok()?.gpu;
        match nvml::figures(&gpu.about.bus_id) {
            Ok(figures) => Some(figures),
            Err(NoFigures::Unknown) => None,
            Err(NoFigures::Lost) => {
                gpu.lose("NVML reports that the GPU has fallen off the bus");
                None
            }
        }
    }

    fn device_use(&self, id: i32) -> Option<DeviceUse> {
        let gpu = &self.opened(id, "be used").ok()?.gpu;
        let (pool_used, pool_reserved) = gpu.pool_use();
        Some(DeviceUse {
            from_host: gpu.counters.from_host.read(),
            to_host: gpu.counters.to_host.read(),
            within: gpu.counters.within.read(),
            between: gpu.counters.between.read(),
            pool_used,
            pool_reserved,
        })
    }

    fn pinned_use(&self) -> Option<PinnedUse> {
        let (used, total) = self.pinned.usage();
        Some(PinnedUse { used, total })
    }
}
