//! One GPU: its context, its pool of memory, and what has happened to it.

use std::ffi::{c_int, c_void};
use std::mem;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use cudarc::driver::sys::{
    CUcontext, CUdevice, CUevent, CUmemAllocationType_enum, CUmemLocationType_enum, CUmemPool_attribute_enum,
    CUmemPoolProps, CUmemoryPool, CUstream, CUstream_flags_enum, CUstreamCaptureMode_enum,
};
use parking_lot::Mutex;

use super::copier::Copier;
use super::library::{Functions, Status};
use super::status;
use crate::{Device, DeviceError, Transfers};

/// The number of streams on which buffers are read, so that reading one need not wait for what follows on the stream that
/// filled it, or for the readers of others.
const READERS: usize = 4;

/// A GPU of this machine.
#[derive(Debug)]
pub(super) struct Gpu {
    pub(super) functions: &'static Functions,
    pub(super) device: CUdevice,
    pub(super) about: Device,
    /// The bytes of free memory that the pool keeps.
    pool_size: u64,
    /// Made by the first use: until then, the GPU costs neither time nor memory.
    active: OnceLock<Active>,
    /// Held while somebody makes `active`. A failure is not kept: what was short may be there later.
    activation: Mutex<()>,
    lost: OnceLock<Box<str>>,
    pub(super) counters: Counters,
}

/// What a GPU in use has.
#[derive(Debug)]
pub(super) struct Active {
    /// The primary context, which ONNX Runtime and others share through CUDA's runtime API.
    pub(super) context: CUcontext,
    /// None if the device has no pools.
    pub(super) pool: Option<CUmemoryPool>,
    /// None if the driver has no kernel for copies.
    pub(super) copier: Option<Copier>,
    readers: [CUstream; READERS],
    next_reader: AtomicUsize,
    /// Events for reuse.
    events: Mutex<Vec<CUevent>>,
    /// Whether copies from ordinary host memory read that memory after the call has returned.
    pub(super) reads_host_late: bool,
}

/// Counts of copies and their bytes: from the host, to the host, within the device, and from another device.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) from_host: Counter,
    pub(super) to_host: Counter,
    pub(super) within: Counter,
    pub(super) between: Counter,
}

#[derive(Debug, Default)]
pub(super) struct Counter {
    copies: AtomicU64,
    bytes: AtomicU64,
}

impl Counter {
    pub(super) fn add(&self, bytes: usize) {
        self.copies.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Transfers {
        Transfers { copies: self.copies.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }
}

// SAFETY: contexts, streams, pools and events of the driver may be used by all threads.
unsafe impl Send for Active {}
// SAFETY: as above.
unsafe impl Sync for Active {}

impl Gpu {
    pub(super) fn new(functions: &'static Functions, device: CUdevice, about: Device, pool_size: u64) -> Gpu {
        let (active, lost, activation) = (OnceLock::new(), OnceLock::new(), Mutex::default());
        Gpu { functions, device, about, pool_size, active, activation, lost, counters: Counters::default() }
    }

    pub(super) fn id(&self) -> i32 {
        self.about.id
    }

    /// Why the GPU can no longer be used, if that is so.
    pub(super) fn lost(&self) -> Option<Box<str>> {
        self.lost.get().cloned()
    }

    /// What the GPU has while it is in use; made by the first call.
    pub(super) fn active(&self) -> Result<&Active, DeviceError> {
        if let Some(reason) = self.lost.get() {
            return Err(DeviceError::Lost { device: self.id(), reason: reason.clone() });
        }
        if let Some(active) = self.active.get() {
            return Ok(active);
        }
        let _turn = self.activation.lock();
        if let Some(active) = self.active.get() {
            return Ok(active);
        }
        let made = self.activate()?;
        Ok(self.active.get_or_init(|| made))
    }

    /// What the GPU has if it is in use already.
    pub(super) fn if_active(&self) -> Option<&Active> {
        self.active.get()
    }

    fn activate(&self) -> Result<Active, DeviceError> {
        let _relaxed = Relaxed::begin(self.functions);
        let mut context = null_mut();
        // SAFETY: the device exists, and the context is kept until the GPU is dropped.
        self.check("create a context", unsafe {
            (self.functions.retain_context)(&raw mut context, self.device)
        })?;
        // SAFETY: the context was retained above. What was made in it ends with it.
        self.activate_in(context).inspect_err(|_| unsafe {
            (self.functions.release_context)(self.device);
        })
    }

    fn activate_in(&self, context: CUcontext) -> Result<Active, DeviceError> {
        let _current = self.make_current(context)?;
        let mut readers = [null_mut(); READERS];
        for reader in &mut readers {
            *reader = self.create_stream()?;
        }
        let pools = self.attribute(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED);
        let host_tables = self.attribute(CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS_USES_HOST_PAGE_TABLES);
        Ok(Active {
            context,
            pool: if pools == Some(1) { Some(self.create_pool()?) } else { None },
            copier: Copier::load(self.functions),
            readers,
            next_reader: AtomicUsize::new(0),
            events: Mutex::default(),
            reads_host_late: host_tables != Some(0),
        })
    }

    /// The value of an attribute; None if the driver does not know it.
    pub(super) fn attribute(&self, attribute: c_int) -> Option<c_int> {
        let mut value = 0;
        // SAFETY: writes an integer.
        let status = unsafe { (self.functions.device_attribute)(&raw mut value, attribute, self.device) };
        (status == status::SUCCESS).then_some(value)
    }

    /// Creates a stream. The context has to be the current one.
    pub(super) fn create_stream(&self) -> Result<CUstream, DeviceError> {
        let mut stream = null_mut();
        // Not ordered with the default stream, which other libraries may use.
        let flags = CUstream_flags_enum::CU_STREAM_NON_BLOCKING as u32;
        // SAFETY: writes the handle.
        self.check("create a stream", unsafe { (self.functions.create_stream)(&raw mut stream, flags) })?;
        Ok(stream)
    }

    fn create_pool(&self) -> Result<CUmemoryPool, DeviceError> {
        // SAFETY: all zeros are valid: no handle type, no security attributes, and no largest size.
        let mut properties: CUmemPoolProps = unsafe { mem::zeroed() };
        properties.allocType = CUmemAllocationType_enum::CU_MEM_ALLOCATION_TYPE_PINNED;
        properties.location.type_ = CUmemLocationType_enum::CU_MEM_LOCATION_TYPE_DEVICE;
        properties.location.id = self.device;
        let mut pool = null_mut();
        // SAFETY: the properties are valid for the call.
        let status = unsafe { (self.functions.create_pool)(&raw mut pool, &raw const properties) };
        self.check("create a memory pool", status)?;
        let mut keep = self.pool_size;
        let attribute = CUmemPool_attribute_enum::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD as c_int;
        // SAFETY: this attribute is a 64-bit integer.
        let status =
            unsafe { (self.functions.set_pool_attribute)(pool, attribute, (&raw mut keep).cast::<c_void>()) };
        self.check("set the size of a memory pool", status)?;
        Ok(pool)
    }

    /// The bytes of the pool: those in use, and all that it holds. Zeros if the GPU is not in use.
    pub(super) fn pool_use(&self) -> (u64, u64) {
        let read = |attribute: CUmemPool_attribute_enum| {
            let mut value = 0u64;
            let pool = self.if_active()?.pool?;
            // SAFETY: these attributes are 64-bit integers.
            let status = unsafe {
                (self.functions.pool_attribute)(pool, attribute as c_int, (&raw mut value).cast::<c_void>())
            };
            (status == status::SUCCESS).then_some(value)
        };
        (
            read(CUmemPool_attribute_enum::CU_MEMPOOL_ATTR_USED_MEM_CURRENT).unwrap_or(0),
            read(CUmemPool_attribute_enum::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT).unwrap_or(0),
        )
    }

    /// Makes the context current on this thread until the guard is dropped, and lets the thread make calls that are otherwise
    /// refused while any stream of the process is captured.
    pub(super) fn enter(&self) -> Result<(&Active, Entered), DeviceError> {
        let active = self.active()?;
        let relaxed = Relaxed::begin(self.functions);
        let current = self.make_current(active.context)?;
        Ok((active, Entered { _current: current, relaxed }))
    }

    /// Makes the context current on this thread for good, and lets the thread make calls for good that are otherwise refused
    /// while any stream of the process is captured: an engine on the thread may allocate while another captures.
    pub(super) fn stay(&self) -> Result<(), DeviceError> {
        let active = self.active()?;
        mem::forget(Relaxed::begin(self.functions));
        // SAFETY: the context is kept until the GPU is dropped.
        self.check("make its context current", unsafe {
            (self.functions.set_current_context)(active.context)
        })
    }

    fn make_current(&self, context: CUcontext) -> Result<Current, DeviceError> {
        let mut before = null_mut();
        // SAFETY: writes the handle.
        let status = unsafe { (self.functions.current_context)(&raw mut before) };
        self.check("read the current context", status)?;
        if before == context {
            return Ok(Current { functions: self.functions, before: None });
        }
        // SAFETY: the context is kept until the GPU is dropped.
        self.check("make its context current", unsafe { (self.functions.set_current_context)(context) })?;
        Ok(Current { functions: self.functions, before: Some(before) })
    }

    /// The free and the total memory, in bytes.
    pub(super) fn memory(&self) -> Result<(usize, usize), DeviceError> {
        let (_, _entered) = self.enter()?;
        let (mut free, mut total) = (0, 0);
        // SAFETY: writes two integers.
        self.check("tell its memory", unsafe {
            (self.functions.memory_info)(&raw mut free, &raw mut total)
        })?;
        Ok((free, total))
    }

    /// An error unless the status is success. A status that says that the device is lost is noted.
    pub(super) fn check(&self, operation: &'static str, status: Status) -> Result<(), DeviceError> {
        if status == status::SUCCESS { Ok(()) } else { Err(self.error(operation, status)) }
    }

    /// As [`Gpu::check`], of an operation that involves `other` as well: its error is charged to the GPU that does not answer any
    /// more, and to neither if both do.
    pub(super) fn check_with(
        &self,
        other: &Gpu,
        operation: &'static str,
        status: Status,
    ) -> Result<(), DeviceError> {
        let costs_a_gpu = status::is_final(status) || status == status::UNKNOWN;
        if !costs_a_gpu || self.device == other.device {
            return self.check(operation, status);
        }
        let Some(dead) = [self, other].into_iter().find(|gpu| gpu.is_dead()) else {
            let reason = self.functions.describe(status).into_boxed_str();
            return Err(DeviceError::Failed { device: self.id(), operation, reason });
        };
        dead.check(operation, status)
    }

    #[cold]
    fn error(&self, operation: &'static str, status: Status) -> DeviceError {
        let (device, reason) = (self.id(), self.functions.describe(status).into_boxed_str());
        if status == status::OUT_OF_MEMORY {
            return DeviceError::OutOfMemory { device, size: 0 };
        }
        if status::is_final(status) || (status == status::UNKNOWN && self.is_dead()) {
            self.lose(&reason);
            return DeviceError::Lost { device, reason };
        }
        DeviceError::Failed { device, operation, reason }
    }

    /// Whether the device does not even tell the size of its memory. A device that has fallen off the bus reports nothing but
    /// unknown errors, and one whose context is destroyed the same error at every call. One that has no context yet is not
    /// known to be dead.
    fn is_dead(&self) -> bool {
        let Some(active) = self.if_active() else { return false };
        let _relaxed = Relaxed::begin(self.functions);
        let (mut before, mut free, mut total) = (null_mut(), 0, 0);
        // The question is answered for the context that is current. An error of these calls is not asked about in turn.
        // SAFETY: writes a handle and two integers; the context is kept until the GPU is dropped, and the other one was the
        // thread's, or null.
        unsafe {
            let known = (self.functions.current_context)(&raw mut before) == status::SUCCESS;
            let entered = (self.functions.set_current_context)(active.context) == status::SUCCESS;
            let answers =
                entered && (self.functions.memory_info)(&raw mut free, &raw mut total) == status::SUCCESS;
            if known && before != active.context {
                (self.functions.set_current_context)(before);
            }
            !answers
        }
    }

    /// Notes that the device is lost, and says so in the log once.
    pub(super) fn lose(&self, reason: &str) {
        if self.lost.set(reason.into()).is_ok() {
            tracing::error!(
                "GPU {} ({}) is lost: {reason}. Instances on it are not ready any more; the process has to be restarted before it \
                 can use this GPU again",
                self.id(),
                self.about.name
            );
        }
    }
}

impl Active {
    /// A stream for reading buffers.
    pub(super) fn reader(&self) -> CUstream {
        self.readers[self.next_reader.fetch_add(1, Ordering::Relaxed) % READERS]
    }

    pub(super) fn take_event(&self) -> Option<CUevent> {
        self.events.lock().pop()
    }

    pub(super) fn give_event(&self, event: CUevent) {
        self.events.lock().push(event);
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        let functions = self.functions;
        if self.if_active().is_none() {
            return;
        }
        let Ok((active, _entered)) = self.enter() else { return };
        // SAFETY: every buffer, stream and event of this GPU has kept it, so these are the last of its handles.
        unsafe {
            for event in active.events.lock().drain(..) {
                (functions.destroy_event)(event);
            }
            if let Some(copier) = &active.copier {
                copier.unload(functions);
            }
            for reader in active.readers {
                (functions.destroy_stream)(reader);
            }
            if let Some(pool) = active.pool {
                (functions.destroy_pool)(pool);
            }
            (functions.release_context)(self.device);
        }
    }
}

const CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED: c_int = 115;
const CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS_USES_HOST_PAGE_TABLES: c_int = 100;

/// While it lives, a context is the current one of this thread.
#[derive(Debug)]
struct Current {
    functions: &'static Functions,
    /// The context to return to, unless it is the same.
    before: Option<CUcontext>,
}

impl Drop for Current {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            // SAFETY: this was the thread's context, or null.
            unsafe { (self.functions.set_current_context)(before) };
        }
    }
}

/// While it lives, captures of other threads do not forbid calls such as allocations to this thread.
#[derive(Debug)]
pub(super) struct Relaxed {
    functions: &'static Functions,
    before: c_int,
}

impl Relaxed {
    pub(super) fn begin(functions: &'static Functions) -> Relaxed {
        let mut mode = CUstreamCaptureMode_enum::CU_STREAM_CAPTURE_MODE_RELAXED as c_int;
        // SAFETY: exchanges a mode of this thread with the integer.
        let status = unsafe { (functions.exchange_capture_mode)(&raw mut mode) };
        let global = CUstreamCaptureMode_enum::CU_STREAM_CAPTURE_MODE_GLOBAL as c_int;
        Relaxed { functions, before: if status == status::SUCCESS { mode } else { global } }
    }
}

impl Drop for Relaxed {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { (self.functions.exchange_capture_mode)(&raw mut self.before) };
    }
}

/// While it lives, calls of this thread are for one GPU.
#[derive(Debug)]
pub(super) struct Entered {
    _current: Current,
    relaxed: Relaxed,
}

impl Entered {
    pub(super) fn relaxed(&self) -> &Relaxed {
        &self.relaxed
    }
}

#[cfg(test)]
mod tests;
