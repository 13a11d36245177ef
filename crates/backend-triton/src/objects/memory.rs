//! The memory manager: scratch memory for backends.

#![allow(unsafe_code, reason = "allocates for foreign code, which frees by address")]

use std::ffi::c_void;
use std::ptr;

use hippocamp_backend::{Error, Result};

use crate::border::{Kind, MemoryType, Object, Out, Ref, Registry, Returned, call};

/// There is one a process, and it has no state: memory is the C library's.
#[derive(Debug)]
pub(crate) struct MemoryManagerObject;

impl Object for MemoryManagerObject {
    const KIND: Kind = Kind::MemoryManager;

    fn registry() -> &'static Registry<Self> {
        static MANAGERS: Registry<MemoryManagerObject> = Registry::new(Kind::MemoryManager);
        &MANAGERS
    }
}

fn check(kind: u32) -> Result<()> {
    match MemoryType::from_number(kind, "memory_type")? {
        MemoryType::Cpu => Ok(()),
        MemoryType::CpuPinned => Err(Error::unsupported("pinned memory is not given to backends")),
        MemoryType::Gpu => Err(Error::unsupported("memory of GPUs is not given to backends")),
    }
}

pub(crate) extern "C" fn allocate(
    manager: Ref<MemoryManagerObject>,
    buffer: Out<*mut c_void>,
    kind: u32,
    _id: i64,
    size: u64,
) -> Returned {
    call("TRITONBACKEND_MemoryManagerAllocate", || {
        manager.get()?;
        buffer.set("buffer", ptr::null_mut())?;
        check(kind)?;
        if size == 0 {
            return Ok(());
        }
        // SAFETY: any size may be asked for.
        let memory = usize::try_from(size).map_or(ptr::null_mut(), |size| unsafe { libc::malloc(size) });
        if memory.is_null() {
            return Err(Error::unavailable(format!("there is no memory for {size} bytes")));
        }
        buffer.set("buffer", memory)
    })
}

pub(crate) extern "C" fn free(
    manager: Ref<MemoryManagerObject>,
    buffer: *mut c_void,
    kind: u32,
    _id: i64,
) -> Returned {
    call("TRITONBACKEND_MemoryManagerFree", || {
        manager.get()?;
        check(kind)?;
        // SAFETY: the interface says that it came from `allocate` and is freed once. NULL is left alone.
        unsafe { libc::free(buffer) };
        Ok(())
    })
}
