//! Buffers in the memory of a GPU.

use std::any::Any;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::Arc;

use cudarc::driver::sys::{CUmemorytype_enum, CUpointer_attribute_enum};
use hippocamp_tensor::{MemoryError, Place, PlacedBuffer, PlacedBufferMut, PlacedSlice};
use smallvec::SmallVec;

use super::copier::{Segment, targets_overlap};
use super::event::Event;
use super::gpu::Gpu;
use super::pending::Pending;
use super::pinned::PinnedMemory;
use super::status;
use super::stream::CudaStream;
use crate::DeviceError;

/// A buffer in the memory of a GPU.
#[derive(Debug)]
pub(super) struct DeviceMemory {
    /// Dropped before the stream, which an engine's session may use to its end.
    owner: Owner,
    /// The stream on which the buffer is written and freed.
    stream: Arc<CudaStream>,
    address: u64,
    len: usize,
    pub(super) pending: Pending,
}

/// Whose memory it is.
#[derive(Debug)]
pub(super) enum Owner {
    /// There are no bytes.
    Nobody,
    /// The pool's, to which it returns in the order of the stream.
    Pool,
    /// Allocated for this buffer alone.
    Driver,
    /// What frees it.
    Other { _owner: Box<dyn Any + Send + Sync> },
}

impl DeviceMemory {
    pub(super) fn new(stream: Arc<CudaStream>, address: u64, len: usize, owner: Owner) -> DeviceMemory {
        DeviceMemory { stream, address, len, owner, pending: Pending::default() }
    }

    /// The address of byte `at`.
    pub(super) fn address(&self, at: usize) -> u64 {
        self.address + at as u64
    }

    fn range(&self, start: usize, count: usize) -> u64 {
        let end = start.checked_add(count);
        assert!(
            end.is_some_and(|end| end <= self.len),
            "{count} bytes from {start} on are no part of {}",
            self.len
        );
        self.address(start)
    }

    /// Queues an operation that writes to the buffer, behind everything that still uses it. `reads` is the GPU whose memory
    /// it reads.
    fn write(
        &mut self,
        operation: &'static str,
        reads: &Gpu,
        queue: impl FnOnce(&CudaStream) -> super::library::Status,
    ) -> Result<Arc<Event>, DeviceError> {
        let stream = &*self.stream;
        self.pending.hold(&stream.gpu, stream.stream)?;
        stream.gpu.check_with(reads, operation, queue(stream))?;
        let event = Arc::new(Event::record(&stream.gpu, stream.stream)?);
        self.pending.add(stream.stream, Arc::clone(&event));
        Ok(event)
    }

    fn copy_from_host(
        &mut self,
        start: usize,
        bytes: &[u8],
        pinned: Option<&PinnedMemory>,
    ) -> Result<(), DeviceError> {
        let target = self.range(start, bytes.len());
        let stream = Arc::clone(&self.stream);
        let (active, _entered) = stream.gpu.enter()?;
        stream.gpu.counters.from_host.add(bytes.len());
        let event = self.write("copy from the host", &stream.gpu, |stream| {
            // SAFETY: both ends are valid for as many bytes; the source stays until it has been read, see below.
            unsafe {
                (stream.gpu.functions.copy_from_host)(
                    target,
                    bytes.as_ptr().cast(),
                    bytes.len(),
                    stream.stream,
                )
            }
        })?;
        match pinned {
            // Whoever writes to it or frees it waits for the copy.
            Some(pinned) => pinned.pending().add(stream.stream, event),
            None if active.reads_host_late || is_page_locked(&stream, bytes) => event.wait()?,
            // The driver has copied ordinary memory to a buffer of its own when the call returns.
            None => {}
        }
        Ok(())
    }

    fn copy_from_device(
        &mut self,
        start: usize,
        source: &DeviceMemory,
        first: usize,
        count: usize,
    ) -> Result<(), DeviceError> {
        let (target, from) = (self.range(start, count), source.range(first, count));
        let stream = Arc::clone(&self.stream);
        let (active, _entered) = stream.gpu.enter()?;
        let of_source = &source.stream.gpu;
        let same = Arc::ptr_eq(of_source, &stream.gpu);
        let counters = &stream.gpu.counters;
        if same { &counters.within } else { &counters.between }.add(count);
        let source_context = of_source.active()?.context;
        source.pending.hold(&stream.gpu, stream.stream)?;
        let event = self.write("copy from a device", of_source, |stream| {
            let functions = stream.gpu.functions;
            // SAFETY: both ends are valid for as many bytes: the source waits for this copy before its memory is freed or
            // written to.
            unsafe {
                if same {
                    (functions.copy_within)(target, from, count, stream.stream)
                } else {
                    (functions.copy_between)(
                        target,
                        active.context,
                        from,
                        source_context,
                        count,
                        stream.stream,
                    )
                }
            }
        })?;
        source.pending.add(stream.stream, event);
        Ok(())
    }

    /// The memory of the same GPU that a slice is of, and where it begins there.
    fn beside<'a>(&self, slice: PlacedSlice<'a>) -> Option<(&'a DeviceMemory, usize)> {
        let PlacedSlice::Placed { buffer, start, .. } = slice else { return None };
        let any: &dyn Any = buffer;
        let memory = any.downcast_ref::<DeviceMemory>()?;
        Arc::ptr_eq(&memory.stream.gpu, &self.stream.gpu).then_some((memory, start))
    }

    /// Queues copies to buffers of one stream, each from a slice to where it is to begin, as one operation. `None` if they cannot be
    /// one.
    fn copy_together(copies: &[(&DeviceMemory, usize, PlacedSlice<'_>)]) -> Option<Result<(), MemoryError>> {
        let [(first, ..), _, ..] = copies else { return None };
        let (stream, gpu) = (&first.stream, &first.stream.gpu);
        let kernel = gpu.if_active()?.copier.as_ref()?;
        let (mut segments, mut sources) = (SmallVec::<[Segment; 16]>::new(), SmallVec::<[_; 16]>::new());
        for (target, start, source) in copies {
            let (memory, at) = target.beside(*source)?;
            let len = source.len();
            let (to, from) = (target.range(*start, len), memory.range(at, len));
            let segment = Segment { target: to, source: from, len: len as u64 };
            if !segment.is_aligned() || !Arc::ptr_eq(&target.stream, stream) {
                return None;
            }
            segments.push(segment);
            sources.push(memory);
        }
        if targets_overlap(&segments) {
            return None;
        }
        let queue = || {
            let (_, _entered) = gpu.enter()?;
            let buffers = || copies.iter().map(|(target, ..)| *target).chain(sources.iter().copied());
            buffers().try_for_each(|memory| memory.pending.hold(gpu, stream.stream))?;
            segments.iter().for_each(|segment| gpu.counters.within.add(segment.len as usize));
            // SAFETY: both ends are valid: neither is freed or accessed before the event below, as it is pending for both. Targets do
            // not overlap, as was checked: two buffers may be of one region of a client.
            let status = unsafe { kernel.launch(gpu.functions, &segments, stream.stream) };
            gpu.check("copy within the device", status)?;
            let event = Arc::new(Event::record(gpu, stream.stream)?);
            buffers().for_each(|memory| memory.pending.add(stream.stream, Arc::clone(&event)));
            Ok(())
        };
        let (place, size) = (first.place(), segments.iter().map(|segment| segment.len as usize).sum());
        Some(queue().map_err(|error| failed(place, place, size, error)))
    }

    /// Queues a copy to pinned memory, behind everything that is pending for either, on a stream for readers: what follows on the
    /// stream of the buffer may be the next batch of an engine.
    pub(super) fn copy_to_pinned(
        &self,
        from: usize,
        count: usize,
        pinned: &PinnedMemory,
        target: *mut c_void,
    ) -> Result<(), MemoryError> {
        let source = self.range(from, count);
        let gpu = &self.stream.gpu;
        let queue = || {
            let (active, _entered) = gpu.enter()?;
            let reader = active.reader();
            self.pending.hold(gpu, reader)?;
            pinned.pending().hold(gpu, reader)?;
            gpu.counters.to_host.add(count);
            // SAFETY: both ends are valid for as many bytes. Neither is freed or accessed before the event below, as it is pending for
            // both.
            let status = unsafe { (gpu.functions.copy_to_host)(target, source, count, reader) };
            gpu.check("copy to the host", status)?;
            let event = Arc::new(Event::record(gpu, reader)?);
            pinned.pending().add(reader, Arc::clone(&event));
            self.pending.add(reader, event);
            Ok(())
        };
        queue().map_err(|error| failed(self.place(), Place::Pinned, count, error))
    }

    /// Copies from memory that the driver does not reach, by pinned memory.
    fn copy_through_host(&mut self, start: usize, source: PlacedSlice<'_>) -> Result<(), MemoryError> {
        let mut staged = Arc::clone(&self.stream.pinned).allocate(source.len())?;
        staged.copy_from(0, source)?;
        self.copy_from(start, PlacedSlice::Placed { buffer: &*staged, start: 0, len: source.len() })
    }
}

/// The error of a copy.
fn failed(from: Place, to: Place, size: usize, error: DeviceError) -> MemoryError {
    match error {
        DeviceError::Failed { reason, .. } => MemoryError::Transfer { from, to, size, reason },
        other => other.into(),
    }
}

/// Whether copies read these bytes of the host directly and later. Something else may have locked them, such as an engine.
fn is_page_locked(stream: &CudaStream, bytes: &[u8]) -> bool {
    let mut kind = 0u32;
    let attribute = CUpointer_attribute_enum::CU_POINTER_ATTRIBUTE_MEMORY_TYPE as i32;
    let address = bytes.as_ptr() as u64;
    // SAFETY: this attribute is a 32-bit integer. The address is only looked up.
    let status =
        unsafe { (stream.gpu.functions.pointer_attribute)((&raw mut kind).cast(), attribute, address) };
    status == status::SUCCESS && kind == CUmemorytype_enum::CU_MEMORYTYPE_HOST as u32
}

// SAFETY: the length is fixed, and a copy that succeeds has written all of its target.
unsafe impl PlacedBuffer for DeviceMemory {
    fn len(&self) -> usize {
        self.len
    }

    fn place(&self) -> Place {
        Place::Device(self.stream.gpu.id())
    }

    fn misalignment(&self) -> usize {
        // What allocators of this driver give begins at multiples of it.
        (self.address % 256) as usize
    }

    fn copy_to_host(&self, start: usize, target: &mut [MaybeUninit<u8>]) -> Result<(), MemoryError> {
        let (from, count) = (self.range(start, target.len()), target.len());
        if count == 0 {
            return Ok(());
        }
        let gpu = &self.stream.gpu;
        let mut copy = || {
            let (active, _entered) = gpu.enter()?;
            // Not on the stream of the buffer: what follows there may be the next batch of an engine.
            let reader = active.reader();
            self.pending.hold(gpu, reader)?;
            gpu.counters.to_host.add(count);
            // SAFETY: both ends are valid for as many bytes until the copy is complete, which is waited for.
            let status =
                unsafe { (gpu.functions.copy_to_host)(target.as_mut_ptr().cast(), from, count, reader) };
            gpu.check("copy to the host", status)?;
            Event::record(gpu, reader)?.wait()
        };
        copy().map_err(|error| failed(self.place(), Place::Host, count, error))
    }

    fn allocate_beside(&self, size: usize) -> Result<Option<Box<dyn PlacedBufferMut>>, MemoryError> {
        Ok(Some(Box::new(self.stream.allocate(size)?)))
    }
}

impl PlacedBufferMut for DeviceMemory {
    fn copy_from(&mut self, start: usize, source: PlacedSlice<'_>) -> Result<(), MemoryError> {
        let (place, count) = (source.place(), source.len());
        if count == 0 {
            self.range(start, 0);
            return Ok(());
        }
        let copied = match source {
            PlacedSlice::Host(bytes) => self.copy_from_host(start, bytes, None),
            PlacedSlice::Placed { buffer, start: first, len } => {
                let any: &dyn Any = buffer;
                if let Some(memory) = any.downcast_ref::<DeviceMemory>() {
                    self.copy_from_device(start, memory, first, len)
                } else if let Some(bytes) = source.as_host() {
                    self.copy_from_host(start, bytes, any.downcast_ref::<PinnedMemory>())
                } else {
                    return self.copy_through_host(start, source);
                }
            }
        };
        copied.map_err(|error| failed(place, self.place(), count, error))
    }

    fn copy_many(&mut self, parts: &[(usize, PlacedSlice<'_>)]) -> Result<(), MemoryError> {
        let queued = {
            let memory = &*self;
            let copies: SmallVec<[_; 16]> =
                parts.iter().map(|(start, part)| (memory, *start, *part)).collect();
            DeviceMemory::copy_together(&copies)
        };
        queued.unwrap_or_else(|| parts.iter().try_for_each(|(start, source)| self.copy_from(*start, *source)))
    }

    fn copy_with(
        &mut self,
        source: PlacedSlice<'_>,
        others: &mut [(&mut dyn PlacedBufferMut, PlacedSlice<'_>)],
    ) -> Result<(), MemoryError> {
        let rest = others.iter().map(|(target, source)| {
            let any: &dyn Any = &**target;
            Some((any.downcast_ref::<DeviceMemory>()?, 0, *source))
        });
        let copies: Option<SmallVec<[_; 16]>> =
            std::iter::once(Some((&*self, 0, source))).chain(rest).collect();
        if let Some(queued) = copies.and_then(|copies| DeviceMemory::copy_together(&copies)) {
            return queued;
        }
        self.copy_from(0, source)?;
        others.iter_mut().try_for_each(|(target, source)| target.copy_from(0, *source))
    }

    fn copy_within(&mut self, from: usize, len: usize, to: usize) -> Result<(), MemoryError> {
        let (source, target) = (self.range(from, len), self.range(to, len));
        if len == 0 {
            return Ok(());
        }
        let stream = Arc::clone(&self.stream);
        let (_, _entered) = stream.gpu.enter()?;
        stream.gpu.counters.within.add(len);
        self.write("copy memory", &stream.gpu, |stream| {
            // SAFETY: both ends are valid for as many bytes, and do not overlap.
            unsafe { (stream.gpu.functions.copy_within)(target, source, len, stream.stream) }
        })?;
        Ok(())
    }

    fn fill_zeros(&mut self, start: usize, count: usize) -> Result<(), MemoryError> {
        let target = self.range(start, count);
        if count == 0 {
            return Ok(());
        }
        let stream = Arc::clone(&self.stream);
        let (_, _entered) = stream.gpu.enter()?;
        self.write("fill memory", &stream.gpu, |stream| {
            // SAFETY: the target is valid for as many bytes.
            unsafe { (stream.gpu.functions.fill)(target, 0, count, stream.stream) }
        })?;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), MemoryError> {
        self.pending.wait()?;
        self.pending.clear();
        Ok(())
    }
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        let stream = &self.stream;
        let freed = || {
            match self.owner {
                Owner::Nobody => return Ok(()),
                Owner::Other { .. } => return self.pending.wait(),
                Owner::Pool | Owner::Driver => {}
            }
            let (_, _entered) = stream.gpu.enter()?;
            let functions = stream.gpu.functions;
            let status = if matches!(self.owner, Owner::Pool) {
                self.pending.hold(&stream.gpu, stream.stream)?;
                // SAFETY: allocated by the pool, and later work of the stream does not use it.
                unsafe { (functions.free_async)(self.address, stream.stream) }
            } else {
                self.pending.wait()?;
                // SAFETY: allocated by the driver, and nothing is pending.
                unsafe { (functions.free)(self.address) }
            };
            stream.gpu.check("free memory", status)
        };
        match freed() {
            Ok(()) | Err(DeviceError::Lost { .. }) => {}
            Err(error) => tracing::error!("{error}"),
        }
    }
}
