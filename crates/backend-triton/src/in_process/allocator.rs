//! Who allocates the outputs of requests that backends make.

#![allow(unsafe_code, reason = "writes outputs to memory that a backend gives")]

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::slice;

use hippocamp_backend::{Error, Result};
use hippocamp_tensor::{PlacedSlice, TensorData};
use parking_lot::Mutex;
use tracing::error;

use super::callbacks::{Allocate, GiveBack, Opaque, Query, Start};
use super::gpus::Gpus;
use super::lending::Segment;
use crate::border::{Kind, MemoryType, Object, Out, Ref, Registry, Returned, call, misuse};

/// The functions of a backend that allocate outputs.
#[derive(Debug)]
pub(crate) struct AllocatorObject {
    functions: Functions,
    /// Asked for nothing so far: outputs are copied once, wherever they are.
    query: Mutex<Option<Query>>,
}

#[derive(Clone, Copy, Debug)]
struct Functions {
    allocate: Allocate,
    give_back: GiveBack,
    start: Option<Start>,
}

impl Object for AllocatorObject {
    const KIND: Kind = Kind::ResponseAllocator;

    fn registry() -> &'static Registry<Self> {
        static ALL: Registry<AllocatorObject> = Registry::new(Kind::ResponseAllocator);
        &ALL
    }
}

/// How the outputs of one request are allocated. The functions stay callable if their object is deleted meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allocation {
    allocator: Ref<AllocatorObject>,
    functions: Functions,
    userp: Opaque,
}

/// A buffer of the backend's.
#[derive(Debug)]
pub(crate) struct Buffer {
    pub(crate) start: Opaque,
    pub(crate) userp: Opaque,
    pub(crate) size: usize,
    pub(crate) memory_type: u32,
    pub(crate) memory_id: i64,
    /// The GPU, if it is not in the host's memory.
    gpu: Option<i32>,
}

impl Allocation {
    pub(crate) fn of(allocator: Ref<AllocatorObject>, userp: Opaque) -> Result<Allocation> {
        Ok(Allocation { allocator, functions: allocator.get()?.functions, userp })
    }

    /// Tells the backend that the outputs of a response come.
    pub(crate) fn start(&self) -> Result<()> {
        match self.functions.start {
            Some(start) => start(self.allocator, self.userp.pointer()).into_result(),
            None => Ok(()),
        }
    }

    /// A buffer, wherever the backend wants it; it is told that host memory is liked best. On an error there is none to be given back.
    pub(crate) fn buffer(&self, name: &CStr, size: usize) -> Result<Buffer> {
        let (mut start, mut userp) = (null_mut(), null_mut());
        let (mut memory_type, mut memory_id) = (MemoryType::Cpu.number(), 0);
        let allocated = (self.functions.allocate)(
            self.allocator,
            name.as_ptr(),
            size,
            memory_type,
            memory_id,
            self.userp.pointer(),
            &raw mut start,
            &raw mut userp,
            &raw mut memory_type,
            &raw mut memory_id,
        );
        allocated.into_result()?;
        let (start, userp) = (Opaque::of(start), Opaque::of(userp));
        let mut buffer = Buffer { start, userp, size, memory_type, memory_id, gpu: None };
        let wrong = match gpu_of(memory_type, memory_id) {
            Ok(gpu) if size == 0 || !start.pointer().is_null() => {
                buffer.gpu = gpu;
                return Ok(buffer);
            }
            Ok(_) => {
                let name = name.to_string_lossy();
                Err(Error::internal(format!(
                    "the backend's buffer of {size} bytes for output '{name}' is NULL"
                )))
            }
            Err(error) => Err(error),
        };
        self.give_back(&buffer);
        wrong
    }

    pub(crate) fn give_back(&self, buffer: &Buffer) {
        let Buffer { start, userp, size, memory_type, memory_id, .. } = *buffer;
        let (start, userp) = (start.pointer(), userp.pointer());
        let given = (self.functions.give_back)(self.allocator, start, userp, size, memory_type, memory_id);
        if let Err(error) = given.into_result() {
            error!("a backend does not take back the buffer of an output: {}", error.message());
        }
    }
}

impl Buffer {
    /// Writes the content of an output, which has the size of the buffer, by one copy or transfer.
    pub(crate) fn fill(&mut self, data: &TensorData, gpus: &Gpus) -> Result<()> {
        assert_eq!(self.size, data.len(), "the buffer was allocated for this output");
        if self.size == 0 {
            return Ok(());
        }
        if let Some(gpu) = self.gpu {
            let segment =
                Segment { start: self.start.pointer().expose_provenance(), size: self.size, gpu: self.gpu };
            // SAFETY: as below, on a GPU; when this returns, all is written.
            let mut target = unsafe { gpus.adopt(gpu, segment, Box::new(())) }?;
            data.copy_into(&mut *target, 0)?;
            return Ok(target.finish()?);
        }
        // SAFETY: the backend has allocated so many bytes for this output, by the interface, and they are nobody's until its response
        // is delivered.
        let target =
            unsafe { slice::from_raw_parts_mut(self.start.pointer().cast::<MaybeUninit<u8>>(), self.size) };
        copy(data, target)
    }
}

/// The GPU that memory is on; `None` for the host's.
///
/// # Errors
/// If there is no memory of that type.
pub(super) fn gpu_of(memory_type: u32, memory_id: i64) -> Result<Option<i32>> {
    match MemoryType::from_number(memory_type, "memory_type")? {
        MemoryType::Cpu | MemoryType::CpuPinned => Ok(None),
        MemoryType::Gpu => {
            let gpu = i32::try_from(memory_id);
            gpu.map(Some)
                .map_err(|_| misuse(format!("'memory_type_id' is {memory_id}, expected the number of a GPU")))
        }
    }
}

fn copy(data: &TensorData, mut target: &mut [MaybeUninit<u8>]) -> Result<()> {
    if let Some(placed) = data.as_placed() {
        return Ok(placed.copy_to_host(target)?);
    }
    for segment in data.as_segments().unwrap_or_default() {
        let (part, rest) = target.split_at_mut(segment.len());
        PlacedSlice::Host(segment).copy_to_host(part)?;
        target = rest;
    }
    Ok(())
}

pub(crate) extern "C" fn new(
    allocator: Out<Ref<AllocatorObject>>,
    allocate: Option<Allocate>,
    give_back: Option<GiveBack>,
    start: Option<Start>,
) -> Returned {
    call("TRITONSERVER_ResponseAllocatorNew", || {
        let allocate = allocate.ok_or_else(|| misuse("'alloc_fn' is NULL"))?;
        let give_back = give_back.ok_or_else(|| misuse("'release_fn' is NULL"))?;
        let functions = Functions { allocate, give_back, start };
        allocator.set_new("allocator", AllocatorObject { functions, query: Mutex::default() })
    })
}

pub(crate) extern "C" fn set_query_function(
    allocator: Ref<AllocatorObject>,
    query: Option<Query>,
) -> Returned {
    call("TRITONSERVER_ResponseAllocatorSetQueryFunction", || {
        *allocator.get()?.query.lock() = query;
        Ok(())
    })
}

pub(crate) extern "C" fn delete(allocator: Ref<AllocatorObject>) -> Returned {
    call("TRITONSERVER_ResponseAllocatorDelete", || allocator.remove_unless_null())
}

/// The name of an output, for the backend.
pub(crate) fn name_of(name: &str) -> CString {
    crate::border::text(name)
}
