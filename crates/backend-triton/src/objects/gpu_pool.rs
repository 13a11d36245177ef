//! Memory of one GPU for backends, which they may hand on to other processes: parts of one allocation, as these map it as a whole.
//!
//! The Python backend shares the allocation that its first piece lies in with its stubs, and counts on all later pieces being in it.

use std::collections::BTreeMap;

use hippocamp_backend::{Error, Result};
use hippocamp_device::Devices;
use hippocamp_tensor::{PlacedBufferMut, PlacedSlice};

/// What pieces begin at multiples of, as those of CUDA's own allocators do.
const ALIGNMENT: usize = 256;

/// The pool of a GPU.
#[derive(Debug)]
pub(super) struct GpuPool {
    gpu: i32,
    memory: Box<dyn PlacedBufferMut>,
    address: u64,
    /// What is free, and what is given, by its place: never two free pieces side by side.
    free: BTreeMap<usize, usize>,
    given: BTreeMap<usize, usize>,
}

impl GpuPool {
    /// A pool of that many bytes.
    ///
    /// # Errors
    /// If there is no such GPU, or it has no such memory.
    pub(super) fn new(devices: &Devices, gpu: i32, size: usize) -> Result<GpuPool> {
        let none = |why: String| {
            Error::unsupported(format!("there is no memory of GPU {gpu} for backends ({size} bytes): {why}"))
        };
        let (memory, _handle) = devices.export(gpu, size).map_err(|error| none(error.to_string()))?;
        let whole = PlacedSlice::Placed { buffer: &*memory, start: 0, len: size };
        let address = devices.address(whole).ok_or_else(|| none("it has no address".to_owned()))?;
        Ok(GpuPool { gpu, memory, address, free: BTreeMap::from([(0, size)]), given: BTreeMap::new() })
    }

    /// The address of a piece of `size` bytes, the first that fits.
    ///
    /// # Errors
    /// If there is no room.
    pub(super) fn allocate(&mut self, size: usize) -> Result<u64> {
        let needed = size.checked_next_multiple_of(ALIGNMENT);
        let found = needed.and_then(|needed| {
            let (start, len) = self.free.iter().find(|(_, len)| **len >= needed)?;
            Some((*start, *len, needed))
        });
        let Some((start, len, needed)) = found else {
            return Err(Error::unavailable(format!(
                "the memory of GPU {} for backends has no room for {size} bytes: it has {} bytes, {} of them in use; \
                 --cuda-memory-pool-byte-size makes it larger",
                self.gpu,
                self.memory.len(),
                self.given.values().sum::<usize>()
            )));
        };
        self.free.remove(&start);
        if len > needed {
            self.free.insert(start + needed, len - needed);
        }
        self.given.insert(start, needed);
        Ok(self.address + start as u64)
    }

    /// Takes a piece back.
    ///
    /// # Errors
    /// If no piece begins at that address.
    pub(super) fn free(&mut self, address: u64) -> Result<()> {
        let start = address.checked_sub(self.address).and_then(|start| usize::try_from(start).ok());
        let given = start.and_then(|start| Some((start, self.given.remove(&start)?)));
        let (mut start, mut len) = given.ok_or_else(|| {
            Error::invalid_arg(format!(
                "{address:#x} is no address of memory of GPU {} that was given",
                self.gpu
            ))
        })?;
        if let Some(next) = self.free.remove(&(start + len)) {
            len += next;
        }
        if let Some((&before, &before_len)) = self.free.range(..start).next_back()
            && before + before_len == start
        {
            (start, len) = (before, before_len + len);
        }
        self.free.insert(start, len);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use hippocamp_device::testing::TestDriver;
    use proptest::prelude::*;

    use super::*;

    fn pool(size: usize) -> GpuPool {
        GpuPool::new(&Devices::of(TestDriver::new(1, 1 << 20)), 0, size).unwrap()
    }

    #[test]
    fn what_has_no_room_is_told() {
        let mut pool = pool(1024);
        let first = pool.allocate(300).unwrap();
        assert_eq!(pool.allocate(256).unwrap(), first + 512);
        let told = pool.allocate(257).unwrap_err().message().to_owned();
        let expected = "has no room for 257 bytes: it has 1024 bytes, 768 of them in use";
        assert!(told.contains(expected), "{told}");
        assert!(pool.allocate(usize::MAX).is_err());
        assert!(pool.free(first + 1).is_err() && pool.free(0).is_err());
        pool.free(first).unwrap();
        assert!(pool.free(first).is_err(), "it was given back");
        assert!(GpuPool::new(&Devices::none(), 0, 1).is_err());
    }

    proptest! {
        #[test]
        fn pieces_do_not_overlap_and_all_comes_back(steps in proptest::collection::vec((any::<bool>(), 0..5000_usize), 0..200)) {
            let mut pool = pool(64 << 10);
            let (base, mut given) = (pool.address, Vec::<(u64, usize)>::new());
            for (allocates, size) in steps {
                if allocates || given.is_empty() {
                    let Ok(address) = pool.allocate(size.max(1)) else { continue };
                    let piece = (address, size.max(1));
                    prop_assert!(address % 256 == base % 256 && address + piece.1 as u64 <= base + (64 << 10));
                    let apart = |(start, len): &(u64, usize)| start + *len as u64 <= address || address + piece.1 as u64 <= *start;
                    prop_assert!(given.iter().all(apart));
                    given.push(piece);
                } else {
                    let (address, _) = given.swap_remove(size % given.len());
                    pool.free(address).unwrap();
                }
            }
            for (address, _) in given {
                pool.free(address).unwrap();
            }
            prop_assert_eq!(pool.free, BTreeMap::from([(0, 64 << 10)]));
        }
    }
}
