//! Tensors in system shared memory: one object with all inputs, and one with a place for the outputs of each worker.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use hippocamp_client::{Answer, Failure, Request, Result, Server};

/// Tensors begin at multiples of this.
const ALIGNMENT: u64 = 64;

/// Where a tensor is in a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

/// The regions of a run.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    pub(crate) inputs: Region,
    pub(crate) outputs: Region,
    /// Of each input, in the order of the request.
    pub(crate) input_places: Vec<Place>,
    /// The name of each output, and its place for the first worker.
    output_places: Vec<(String, Place)>,
    /// The size of all outputs of a worker.
    worker: u64,
}

impl SharedMemory {
    /// Makes and registers the regions for so many workers. `answer` tells how large the outputs are.
    pub(crate) async fn register(
        server: &mut Server,
        request: &Request,
        answer: &Answer,
        workers: u32,
    ) -> Result<SharedMemory> {
        let mut end = 0;
        let input_places: Vec<Place> =
            request.inputs.iter().map(|tensor| place(&mut end, tensor.data.len())).collect();
        let inputs = Region::create("inputs", end)?;
        for (tensor, place) in request.inputs.iter().zip(&input_places) {
            inputs.write(&tensor.data, place.offset)?;
        }
        let mut worker = 0;
        let outputs = answer.outputs.iter();
        let output_places =
            outputs.map(|tensor| (tensor.name.clone(), place(&mut worker, tensor.data.len()))).collect();
        let outputs = Region::create("outputs", worker * u64::from(workers))?;
        let memory = SharedMemory { inputs, outputs, input_places, output_places, worker };
        for region in [&memory.inputs, &memory.outputs] {
            let registered = server.register_shared_memory(&region.name, &region.key, region.size).await;
            if let Err(failure) = registered {
                drop(memory.unregister(server).await);
                return Err(failure);
            }
        }
        Ok(memory)
    }

    /// The name of each output, and its place for a worker.
    pub(crate) fn output_places(&self, worker: u32) -> impl Iterator<Item = (&str, Place)> {
        self.output_places.iter().map(move |(name, place)| {
            (
                name.as_str(),
                Place { offset: place.offset + u64::from(worker) * self.worker, size: place.size },
            )
        })
    }

    /// Tells the server that the regions are not used any more.
    pub(crate) async fn unregister(&self, server: &mut Server) -> Result<()> {
        for region in [&self.inputs, &self.outputs] {
            server.unregister_shared_memory(&region.name).await?;
        }
        Ok(())
    }
}

/// The place of the next tensor; moves `end` behind it.
fn place(end: &mut u64, size: usize) -> Place {
    let place = Place { offset: *end, size: size as u64 };
    *end += place.size.next_multiple_of(ALIGNMENT).max(ALIGNMENT);
    place
}

/// An object in /dev/shm, removed when dropped.
#[derive(Debug)]
pub(crate) struct Region {
    pub(crate) name: String,
    key: String,
    size: u64,
    path: PathBuf,
    file: File,
}

impl Region {
    fn create(what: &str, size: u64) -> Result<Region> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("hippocamp-bench-{}-{number}-{what}", std::process::id());
        let path = PathBuf::from("/dev/shm").join(&name);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(|why| failed(&path, &why))?;
        let region = Region { key: format!("/{name}"), name, size: size.max(ALIGNMENT), path, file };
        // Dropping the region removes it.
        region.file.set_len(region.size).map_err(|why| failed(&region.path, &why))?;
        Ok(region)
    }

    fn write(&self, data: &[u8], offset: u64) -> Result<()> {
        self.file.write_all_at(data, offset).map_err(|why| failed(&self.path, &why))
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

fn failed(path: &std::path::Path, why: &io::Error) -> Failure {
    Failure::new(format!("--shared-memory: {} cannot be made: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_lie_apart_and_aligned() {
        let mut end = 0;
        let places: Vec<Place> = [100, 0, 64].map(|size| place(&mut end, size)).to_vec();
        let offsets: Vec<u64> = places.iter().map(|place| place.offset).collect();
        assert_eq!((offsets, end), (vec![0, 128, 192], 256));
    }

    #[test]
    fn an_object_is_there_as_long_as_its_region() {
        let region = Region::create("test", 10).unwrap();
        region.write(b"abc", 2).unwrap();
        assert_eq!(&fs::read(&region.path).unwrap()[..6], b"\0\0abc\0");
        let path = region.path.clone();
        drop(region);
        assert!(!path.try_exists().unwrap());
    }
}
