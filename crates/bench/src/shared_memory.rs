//! Tensors in shared memory: one region with all inputs, and one with a place for the outputs of each worker.

mod region;

use hippocamp_client::{Answer, Request, Result, Server};

pub(crate) use region::{Kind, Region};

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
        kind: &Kind,
    ) -> Result<SharedMemory> {
        let mut end = 0;
        let input_places: Vec<Place> =
            request.inputs.iter().map(|tensor| place(&mut end, tensor.data.len())).collect();
        let mut inputs = Region::create(kind, "inputs", end)?;
        for (tensor, place) in request.inputs.iter().zip(&input_places) {
            inputs.write(&tensor.data, place.offset)?;
        }
        let mut worker = 0;
        let outputs = answer.outputs.iter();
        let output_places =
            outputs.map(|tensor| (tensor.name.clone(), place(&mut worker, tensor.data.len()))).collect();
        let outputs = Region::create(kind, "outputs", worker * u64::from(workers))?;
        let memory = SharedMemory { inputs, outputs, input_places, output_places, worker };
        for region in [&memory.inputs, &memory.outputs] {
            if let Err(failure) = region.register(server).await {
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
            region.unregister(server).await?;
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
}
