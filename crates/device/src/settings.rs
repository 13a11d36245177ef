//! What the user chooses about the GPUs.

use std::collections::BTreeMap;

/// Settings of the GPUs. The defaults are Triton's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuSettings {
    /// The least compute capability (major, minor) of a GPU that is used.
    pub min_compute_capability: (u32, u32),
    /// The bytes of free device memory that the pool of a GPU keeps for reuse, by the id of the GPU. The pool grows beyond
    /// that as needed, and gives the rest back.
    pub memory_pool_byte_size: BTreeMap<i32, u64>,
    /// The most bytes of pinned host memory.
    pub pinned_pool_byte_size: u64,
}

/// The size of the pool of a GPU unless the user chooses another one.
const MEMORY_POOL: u64 = 64 << 20;

impl Default for GpuSettings {
    fn default() -> Self {
        GpuSettings {
            min_compute_capability: (6, 0),
            memory_pool_byte_size: BTreeMap::new(),
            pinned_pool_byte_size: 256 << 20,
        }
    }
}

impl GpuSettings {
    /// The size of the pool of the GPU with this id, in bytes.
    pub fn pool_byte_size(&self, id: i32) -> u64 {
        self.memory_pool_byte_size.get(&id).copied().unwrap_or(MEMORY_POOL)
    }
}
