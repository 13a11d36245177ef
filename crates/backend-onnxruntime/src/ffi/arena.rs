//! The size of a session's arena.

#![allow(unsafe_code, reason = "calls the C interface of ONNX Runtime")]

use std::ffi::CStr;
use std::ptr::null_mut;

use hippocamp_backend::Result;
use ort::AsPointer;
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session;

use super::outcome;
use crate::error::engine;

/// The CPU memory of a session's runs. Has to be dropped before the session.
#[derive(Debug)]
pub(crate) struct SessionMemory(Allocator);

// SAFETY: after creation only the call below is made, during which the engine holds a lock.
unsafe impl Sync for SessionMemory {}

impl SessionMemory {
    pub(crate) fn of(session: &Session) -> Result<SessionMemory> {
        let cpu = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Arena, MemoryType::Default);
        let memory = Allocator::new(session, cpu.map_err(engine)?).map_err(engine)?;
        // Makes the arena's first block a small one, because the engine never releases that block.
        drop(memory.alloc::<u8>(1).map_err(engine)?);
        Ok(SessionMemory(memory))
    }

    /// Bytes that the arena has allocated; `None` if there is no arena, which counts them.
    pub(crate) fn size(&self) -> Option<u64> {
        let mut entries = null_mut();
        // SAFETY: the allocator is live. On success the entries belong to this function until they are released, and so
        // does the text, which ends with a null byte.
        unsafe {
            outcome((ort::api().AllocatorGetStats)(self.0.ptr(), &raw mut entries)).ok()?;
            let text = (ort::api().GetKeyValue)(entries, c"TotalAllocated".as_ptr());
            let size = if text.is_null() { None } else { CStr::from_ptr(text).to_str().ok() };
            let size = size.and_then(|size| size.parse().ok());
            (ort::api().ReleaseKeyValuePairs)(entries);
            size
        }
    }
}
