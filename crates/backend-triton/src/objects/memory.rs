//! The memory manager: scratch memory for backends.

#![allow(unsafe_code, reason = "allocates for foreign code, which frees by address")]

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr::{self, with_exposed_provenance_mut};

use hippocamp_backend::{Error, Result};
use hippocamp_device::Devices;
use hippocamp_tensor::{Place, PlacedBufferMut};
use parking_lot::Mutex;

use super::gpu_pool::GpuPool;
use crate::border::{Kind, MemoryType, Object, Out, Ref, Registry, Returned, call, misuse};

/// The size of the memory of a GPU for a backend unless the user chooses another one, as in Triton.
const POOL: u64 = 64 << 20;

/// Each backend has its own. Memory of the host is the C library's, and is nowhere noted.
#[derive(Debug, Default)]
pub(crate) struct MemoryManagerObject {
    devices: Devices,
    /// The sizes of the pools, by GPU.
    sizes: BTreeMap<i32, u64>,
    /// Made for the first piece, and kept: others may have mapped it.
    pools: Mutex<BTreeMap<i32, GpuPool>>,
    /// Pinned memory, by its address.
    pinned: Mutex<BTreeMap<usize, Box<dyn PlacedBufferMut>>>,
}

impl Object for MemoryManagerObject {
    const KIND: Kind = Kind::MemoryManager;

    fn registry() -> &'static Registry<Self> {
        static MANAGERS: Registry<MemoryManagerObject> = Registry::new(Kind::MemoryManager);
        &MANAGERS
    }
}

impl MemoryManagerObject {
    /// One that gives memory of those devices, of each GPU as much as is said.
    pub(crate) fn new(devices: Devices, sizes: BTreeMap<i32, u64>) -> MemoryManagerObject {
        MemoryManagerObject { devices, sizes, ..MemoryManagerObject::default() }
    }

    fn allocate(&self, kind: u32, id: i64, size: usize) -> Result<*mut c_void> {
        match MemoryType::from_number(kind, "memory_type")? {
            _ if size == 0 => Ok(ptr::null_mut()),
            MemoryType::Cpu => {
                // SAFETY: any size may be asked for.
                let memory = unsafe { libc::malloc(size) };
                if memory.is_null() {
                    return Err(Error::unavailable(format!("there is no memory for {size} bytes")));
                }
                Ok(memory)
            }
            MemoryType::CpuPinned => self.pinned(size),
            MemoryType::Gpu => self.in_pool(id, |pool| pool.allocate(size)).map(|address| {
                // It is nothing that this process reads.
                with_exposed_provenance_mut(address as usize)
            }),
        }
    }

    fn pinned(&self, size: usize) -> Result<*mut c_void> {
        let allocator = self.devices.memory(Place::Pinned);
        let allocator =
            allocator.ok_or_else(|| Error::unsupported("there is no pinned memory without a GPU"))?;
        let mut memory = allocator.allocate(size)?;
        memory.finish()?;
        let bytes = memory.as_host_mut().filter(|_| allocator.place() == Place::Pinned);
        let start = bytes.map(<[u8]>::as_mut_ptr).filter(|_| memory.place() == Place::Pinned);
        let start = start.ok_or_else(|| {
            Error::unavailable(format!(
                "there is no pinned memory for {size} bytes; --pinned-memory-pool-byte-size makes room"
            ))
        })?;
        self.pinned.lock().insert(start.expose_provenance(), memory);
        Ok(start.cast())
    }

    fn in_pool<T>(&self, id: i64, act: impl FnOnce(&mut GpuPool) -> Result<T>) -> Result<T> {
        let gpu = i32::try_from(id)
            .map_err(|_| misuse(format!("'memory_type_id' is {id}, expected the number of a GPU")))?;
        let mut pools = self.pools.lock();
        if let Some(pool) = pools.get_mut(&gpu) {
            return act(pool);
        }
        let size = self.sizes.get(&gpu).copied().unwrap_or(POOL);
        let size = usize::try_from(size)
            .map_err(|_| Error::unsupported(format!("{size} bytes are more than any memory has")))?;
        let pool = GpuPool::new(&self.devices, gpu, size)?;
        act(pools.entry(gpu).or_insert(pool))
    }

    fn free(&self, kind: u32, id: i64, buffer: *mut c_void) -> Result<()> {
        match MemoryType::from_number(kind, "memory_type")? {
            MemoryType::Cpu => {
                // SAFETY: the interface says that it came from `allocate` and is freed once. NULL is left alone.
                unsafe { libc::free(buffer) };
                Ok(())
            }
            _ if buffer.is_null() => Ok(()),
            MemoryType::CpuPinned => {
                let memory = self.pinned.lock().remove(&buffer.addr());
                memory.map(drop).ok_or_else(|| misuse("'buffer' is no pinned memory that was given"))
            }
            MemoryType::Gpu => self.in_pool(id, |pool| pool.free(buffer.addr() as u64)),
        }
    }
}

pub(crate) extern "C" fn allocate(
    manager: Ref<MemoryManagerObject>,
    buffer: Out<*mut c_void>,
    kind: u32,
    id: i64,
    size: u64,
) -> Returned {
    call("TRITONBACKEND_MemoryManagerAllocate", || {
        let manager = manager.get()?;
        buffer.set("buffer", ptr::null_mut())?;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        buffer.set("buffer", manager.allocate(kind, id, size)?)
    })
}

pub(crate) extern "C" fn free(
    manager: Ref<MemoryManagerObject>,
    buffer: *mut c_void,
    kind: u32,
    id: i64,
) -> Returned {
    call("TRITONBACKEND_MemoryManagerFree", || manager.get()?.free(kind, id, buffer))
}

#[cfg(test)]
mod tests {
    use hippocamp_device::testing::TestDriver;

    use super::*;

    const CPU: u32 = 0;
    const PINNED: u32 = 1;
    const GPU: u32 = 2;

    #[test]
    fn memory_of_all_kinds_is_given_and_taken_back() {
        let driver = TestDriver::new(2, 1 << 20);
        let manager = MemoryManagerObject::new(Devices::of(driver.clone()), [(0, 4096), (1, 8192)].into());
        for (kind, id) in [(CPU, 0), (PINNED, 0), (GPU, 0), (GPU, 1)] {
            assert!(manager.allocate(kind, id, 0).unwrap().is_null());
            let pieces = [1, 100].map(|size| manager.allocate(kind, id, size).unwrap());
            assert!(pieces.iter().all(|piece| !piece.is_null()));
            for piece in pieces {
                manager.free(kind, id, piece).unwrap();
            }
            manager.free(kind, id, ptr::null_mut()).unwrap();
        }
        assert_eq!(driver.pinned_memory().allocated(), 0);
        assert!(manager.allocate(GPU, 0, 5000).is_err() && manager.allocate(GPU, 1, 5000).is_ok());
        assert!(manager.allocate(PINNED, 0, 2 << 20).is_err());
        for (kind, id) in [(PINNED, 0), (GPU, 0), (GPU, 7), (GPU, i64::MAX)] {
            assert!(manager.free(kind, id, with_exposed_provenance_mut(16)).is_err(), "{kind} {id}");
        }
        assert!(manager.allocate(9, 0, 1).is_err());
    }

    #[test]
    fn without_a_gpu_there_is_the_hosts_memory_only() {
        let manager = MemoryManagerObject::default();
        for kind in [PINNED, GPU] {
            assert_eq!(
                manager.allocate(kind, 0, 1).unwrap_err().code(),
                hippocamp_backend::Code::Unsupported
            );
        }
    }
}
