//! Memory of GPUs in the hands of backends: inputs of their requests, and buffers for the outputs of their responses.

#![allow(unsafe_code, reason = "takes over memory of a backend, which stays until it is given back")]

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use hippocamp_backend::{Error, Result};
use hippocamp_device::{Devices, Stream};
use hippocamp_tensor::PlacedBufferMut;
use parking_lot::Mutex;

use super::lending::Segment;

/// The GPUs of this machine, as the requests of one model reach them.
#[derive(Debug, Default)]
pub(crate) struct Gpus {
    devices: Devices,
    /// On which memory of backends is copied, by GPU. Made for the first copy.
    streams: Mutex<BTreeMap<i32, Arc<dyn Stream>>>,
}

impl Gpus {
    pub(crate) fn new(devices: Devices) -> Gpus {
        Gpus { devices, streams: Mutex::default() }
    }

    /// Memory of a GPU that belongs to a backend, as a buffer. It stays in use until `owner` is dropped.
    ///
    /// # Errors
    /// If there is no such GPU, or it reports an error.
    ///
    /// # Safety
    /// The segment is memory of that GPU until `owner` is dropped, and nobody else uses it meanwhile but to read it.
    pub(super) unsafe fn adopt(
        &self,
        gpu: i32,
        segment: Segment,
        owner: Box<dyn Any + Send + Sync>,
    ) -> Result<Box<dyn PlacedBufferMut>> {
        let Segment { start, size, .. } = segment;
        let stream = self.stream(gpu)?;
        // SAFETY: the caller's word; whoever has lent the memory has written it.
        let adopted = unsafe { stream.adopt(start as u64, size, owner) };
        adopted.map_err(|error| failed(gpu, &error))
    }

    /// Whether there is such a GPU.
    ///
    /// # Errors
    /// Otherwise, with those that there are.
    pub(super) fn check(&self, gpu: i32) -> Result<()> {
        if self.devices.gpu(gpu).is_some() {
            return Ok(());
        }
        let there: Vec<String> = self.devices.gpu_ids().iter().map(i32::to_string).collect();
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        Err(Error::unsupported(format!(
            "memory of GPU {gpu} cannot be reached, expected host memory or a GPU of this server ({there})"
        )))
    }

    fn stream(&self, gpu: i32) -> Result<Arc<dyn Stream>> {
        self.check(gpu)?;
        let mut streams = self.streams.lock();
        if let Some(stream) = streams.get(&gpu) {
            return Ok(Arc::clone(stream));
        }
        let stream = self.devices.stream(gpu).map_err(|error| failed(gpu, &error))?;
        streams.insert(gpu, Arc::clone(&stream));
        Ok(stream)
    }
}

fn failed(gpu: i32, error: &hippocamp_device::DeviceError) -> Error {
    Error::internal(format!("memory of GPU {gpu} cannot be used: {error}"))
}
