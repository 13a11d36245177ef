//! A region of shared memory that this process has made.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use hippocamp_client::{Failure, Result, Server};
use hippocamp_device::{Devices, GpuSettings};
use hippocamp_tensor::{PlacedBufferMut, PlacedSlice};

use super::ALIGNMENT;
use crate::args::{BenchArgs, MemoryKind};

/// Where regions are made.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// In /dev/shm.
    System,
    /// In the memory of the GPU with this id.
    Cuda(Devices, i32),
}

impl Kind {
    /// What the command line asks for.
    pub(crate) fn of(args: &BenchArgs) -> Option<Kind> {
        Some(match args.shared_memory? {
            MemoryKind::System => Kind::System,
            MemoryKind::Cuda => Kind::Cuda(Devices::find(&GpuSettings::default()), args.gpu),
        })
    }
}

/// A region, which is removed when dropped.
#[derive(Debug)]
pub(crate) struct Region {
    pub(crate) name: String,
    size: u64,
    memory: Memory,
}

#[derive(Debug)]
enum Memory {
    Object { key: String, path: PathBuf, file: File },
    Device { gpu: i32, handle: Vec<u8>, buffer: Box<dyn PlacedBufferMut> },
}

impl Region {
    pub(super) fn create(kind: &Kind, what: &str, size: u64) -> Result<Region> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("hippocamp-bench-{}-{number}-{what}", std::process::id());
        let size = size.max(ALIGNMENT);
        let memory = match kind {
            Kind::System => object(&name, size)?,
            Kind::Cuda(devices, gpu) => on_device(devices, *gpu, size)?,
        };
        Ok(Region { name, size, memory })
    }

    pub(super) fn write(&mut self, data: &[u8], offset: u64) -> Result<()> {
        match &mut self.memory {
            Memory::Object { path, file, .. } => {
                file.write_all_at(data, offset).map_err(|why| failed(path, &why))
            }
            Memory::Device { gpu, buffer, .. } => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let written = buffer.copy_from(start, PlacedSlice::Host(data)).and_then(|()| buffer.finish());
                written.map_err(|why| on_gpu(*gpu, &why))
            }
        }
    }

    pub(super) async fn register(&self, server: &mut Server) -> Result<()> {
        match &self.memory {
            Memory::Object { key, .. } => server.register_shared_memory(&self.name, key, self.size).await,
            Memory::Device { gpu, handle, .. } => {
                server.register_cuda_shared_memory(&self.name, handle, *gpu, self.size).await
            }
        }
    }

    pub(super) async fn unregister(&self, server: &mut Server) -> Result<()> {
        match &self.memory {
            Memory::Object { .. } => server.unregister_shared_memory(&self.name).await,
            Memory::Device { .. } => server.unregister_cuda_shared_memory(&self.name).await,
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        if let Memory::Object { path, .. } = &self.memory {
            drop(fs::remove_file(path));
        }
    }
}

/// An object in /dev/shm.
fn object(name: &str, size: u64) -> Result<Memory> {
    let path = PathBuf::from("/dev/shm").join(name);
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
    let file = file.map_err(|why| failed(&path, &why))?;
    if let Err(why) = file.set_len(size) {
        let failure = failed(&path, &why);
        drop(fs::remove_file(&path));
        return Err(failure);
    }
    Ok(Memory::Object { key: format!("/{name}"), path, file })
}

/// Memory of a GPU, and its handle for the server.
fn on_device(devices: &Devices, gpu: i32, size: u64) -> Result<Memory> {
    if devices.gpu(gpu).is_none() {
        let there = match devices.gpu_ids().as_slice() {
            [] => "no GPU was found: nvidia-smi has to list it".to_owned(),
            ids => {
                let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                format!("there are only {}", ids.join(", "))
            }
        };
        return Err(Failure::new(format!("--shared-memory=cuda: GPU {gpu} cannot be used; {there}")));
    }
    let exported = devices.export(gpu, usize::try_from(size).unwrap_or(usize::MAX));
    let (buffer, handle) = exported.map_err(|why| on_gpu(gpu, &why))?;
    Ok(Memory::Device { gpu, handle, buffer })
}

fn failed(path: &std::path::Path, why: &io::Error) -> Failure {
    Failure::new(format!("--shared-memory: {} cannot be made: {why}", path.display()))
}

fn on_gpu(gpu: i32, why: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("--shared-memory=cuda: memory of GPU {gpu}: {why}"))
}

#[cfg(test)]
mod tests {
    use hippocamp_device::testing::TestDriver;

    use super::*;

    #[test]
    fn an_object_is_there_as_long_as_its_region() {
        let mut region = Region::create(&Kind::System, "test", 10).unwrap();
        region.write(b"abc", 2).unwrap();
        let Memory::Object { path, .. } = &region.memory else { panic!("{region:?}") };
        let path = path.clone();
        assert_eq!(&fs::read(&path).unwrap()[..6], b"\0\0abc\0");
        drop(region);
        assert!(!path.try_exists().unwrap());
    }

    #[test]
    fn memory_of_a_gpu_is_written_and_can_be_opened_by_its_handle() {
        let devices = Devices::of(TestDriver::new(1, 1 << 20));
        let mut region = Region::create(&Kind::Cuda(devices.clone(), 0), "test", 100).unwrap();
        region.write(b"abc", 64).unwrap();
        let Memory::Device { handle, .. } = &region.memory else { panic!("{region:?}") };
        let part = devices.open_exported(0, handle).unwrap().part(64, 3, Box::new(()));
        let slice = PlacedSlice::Placed { buffer: &*part, start: 0, len: 3 };
        assert_eq!(slice.to_vec().unwrap(), b"abc");
    }

    #[test]
    fn a_gpu_that_is_not_there_is_named_with_those_that_are() {
        let text = |devices: Devices, gpu| {
            Region::create(&Kind::Cuda(devices, gpu), "test", 1).unwrap_err().to_string()
        };
        assert!(text(Devices::none(), 0).contains("nvidia-smi"));
        let two = Devices::of(TestDriver::new(2, 1 << 20));
        assert!(text(two, 7).contains("GPU 7 cannot be used; there are only 0, 1"));
    }
}
