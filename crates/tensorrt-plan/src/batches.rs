//! The batches of a calibration, in device memory.

use std::ffi::{CStr, c_void};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use hippocamp_device::{Devices, Stream};
use hippocamp_tensor::{PlacedBufferMut, PlacedSlice};
use hippocamp_tensorrt_sys::build::{Batches, NetworkTensor};
use parking_lot::Mutex;

use crate::PlanArgs;
use crate::pictures::{Preparation, files};

/// What went wrong while the library asked for batches, which it can only be told by an end of them.
pub(crate) type Fault = Arc<Mutex<Option<anyhow::Error>>>;

/// Reads pictures batch by batch.
pub(crate) struct Pictures {
    files: std::vec::IntoIter<PathBuf>,
    size: usize,
    preparation: Preparation,
    buffer: Box<dyn PlacedBufferMut>,
    devices: Devices,
    _stream: Arc<dyn Stream>,
    cache_file: Option<PathBuf>,
    cache: Vec<u8>,
    fault: Fault,
}

impl Pictures {
    /// For a network with one input, which gets pictures in batches of its best shape.
    pub(crate) fn new(
        args: &PlanArgs,
        folder: &std::path::Path,
        input: &NetworkTensor,
        best: &[i64],
        devices: &Devices,
    ) -> Result<(Pictures, Fault)> {
        let preparation = Preparation::of(args, input, best)?;
        let size = best.first().and_then(|size| usize::try_from(*size).ok()).unwrap_or(1).max(1);
        let files = files(folder)?;
        let stream = devices.stream(args.gpu).context("calibration runs the model on a GPU")?;
        stream.make_current()?;
        let buffer = Arc::clone(&stream).allocator().allocate(size * preparation.len() * 4)?;
        let cache = match &args.calibration_cache {
            Some(path) if path.is_file() => {
                std::fs::read(path).with_context(|| format!("'{}' cannot be read", path.display()))?
            }
            _ => Vec::new(),
        };
        let fault = Fault::default();
        let pictures = Pictures {
            files: files.into_iter(),
            size,
            preparation,
            buffer,
            devices: devices.clone(),
            _stream: stream,
            cache_file: args.calibration_cache.clone(),
            cache,
            fault: Arc::clone(&fault),
        };
        Ok((pictures, fault))
    }

    /// Fills the buffer with the next batch; `false` if there is no whole one left.
    fn fill(&mut self) -> Result<bool> {
        let files: Vec<PathBuf> = self.files.by_ref().take(self.size).collect();
        if files.len() < self.size {
            return Ok(false);
        }
        for (n, file) in files.iter().enumerate() {
            let values = self.preparation.read(file)?;
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            self.buffer.copy_from(n * bytes.len(), PlacedSlice::Host(&bytes))?;
        }
        self.buffer.finish()?;
        Ok(true)
    }
}

impl Batches for Pictures {
    fn size(&self) -> i32 {
        self.size as i32
    }

    fn next(&mut self, names: &[&CStr]) -> Option<Vec<*mut c_void>> {
        match self.fill() {
            Ok(true) => {}
            Ok(false) => return None,
            Err(fault) => {
                *self.fault.lock() = Some(fault);
                return None;
            }
        }
        let whole = PlacedSlice::Placed { buffer: &*self.buffer, start: 0, len: self.buffer.len() };
        let address = self.devices.address(whole)?;
        Some(names.iter().map(|_| address as *mut c_void).collect())
    }

    fn cached(&mut self) -> Option<&[u8]> {
        (!self.cache.is_empty()).then_some(&self.cache)
    }

    fn found(&mut self, bytes: &[u8]) {
        // What came of a part of the pictures is not kept.
        if self.fault.lock().is_some() {
            return;
        }
        if let Some(path) = &self.cache_file
            && let Err(fault) = std::fs::write(path, bytes)
        {
            let text = format!("'{}' cannot be written", path.display());
            *self.fault.lock() = Some(anyhow::Error::from(fault).context(text));
        }
    }
}
