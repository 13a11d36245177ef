//! Regions of shared memory: registered, listed, and unregistered. V1 and v2 share them.

use hippocamp_backend::{Code, Error, Result};
use hippocamp_proto::v1::SharedMemoryRegion;
use hippocamp_proto::v1::shared_memory_region::{CudaSharedMemory, SharedMemoryTypes, SystemSharedMemory};

use crate::V1;

/// The size in bytes of what CUDA calls an IPC memory handle.
const CUDA_HANDLE: usize = 64;

impl V1 {
    /// Registers `byte_size` bytes of an object of the system from `offset` on.
    pub fn register(&self, name: &str, key: &str, offset: u64, byte_size: u64) -> Result<()> {
        self.server.shared_memory().register(name, key, offset, byte_size)
    }

    /// Registers memory of a device.
    pub fn register_cuda(&self, name: &str, handle: &[u8], device_id: u64, byte_size: u64) -> Result<()> {
        if handle.len() != CUDA_HANDLE {
            return Err(Error::invalid_arg(
                "unexpected size for CUDA shared-memory handle, expecting 64 bytes",
            ));
        }
        let registered = self.server.shared_memory().register_cuda(name, handle, device_id, byte_size);
        let without_gpus = self.server.settings().devices.gpus().next().is_none();
        registered.map_err(|error| match error.code() {
            Code::InvalidArg if without_gpus && error.message().starts_with("failed to register") => {
                Error::invalid_arg(format!(
                    "failed to register CUDA shared memory region: '{name}', GPUs not supported"
                ))
            }
            _ => error,
        })
    }

    /// Unregisters a region. An unknown name is no error.
    pub fn unregister(&self, name: &str) -> Result<()> {
        if name.is_empty() {
            // The registry takes this for all regions.
            return Ok(());
        }
        let regions = self.server.shared_memory();
        regions.unregister(name)?;
        regions.unregister_cuda(name)
    }

    /// Unregisters all regions.
    pub fn unregister_all(&self) -> Result<()> {
        let regions = self.server.shared_memory();
        regions.unregister("")?;
        regions.unregister_cuda("")
    }

    /// All regions, by name.
    pub fn regions(&self) -> Result<Vec<SharedMemoryRegion>> {
        let memory = self.server.shared_memory();
        let system = memory.status("")?.into_iter().map(|region| SharedMemoryRegion {
            name: region.name,
            byte_size: region.byte_size,
            shared_memory_types: Some(SharedMemoryTypes::SystemSharedMemory(SystemSharedMemory {
                shared_memory_key: region.key,
                offset: region.offset,
            })),
        });
        let cuda = memory.cuda_status("")?.into_iter().map(|region| SharedMemoryRegion {
            name: region.name,
            byte_size: region.byte_size,
            shared_memory_types: Some(SharedMemoryTypes::CudaSharedMemory(CudaSharedMemory {
                device_id: region.device_id.cast_signed(),
            })),
        });
        let mut regions: Vec<SharedMemoryRegion> = system.chain(cuda).collect();
        regions.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(regions)
    }
}
