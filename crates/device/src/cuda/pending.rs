//! What is pending for a buffer: the last write to it, and uses of it on other streams.

use std::sync::Arc;

use cudarc::driver::sys::CUstream;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::event::Event;
use super::gpu::Gpu;
use crate::DeviceError;

/// The events that accesses to a buffer have to come after.
#[derive(Debug, Default)]
pub(super) struct Pending(Mutex<SmallVec<[Use; 2]>>);

#[derive(Debug)]
struct Use {
    event: Arc<Event>,
    /// The stream of the work. Its own order makes waiting unnecessary there.
    stream: usize,
}

impl Pending {
    /// Adds work on `stream` that ends at `event`. Earlier work on the same stream ends before.
    pub(super) fn add(&self, stream: CUstream, event: Arc<Event>) {
        let stream = stream as usize;
        let mut uses = self.0.lock();
        uses.retain(|earlier| earlier.stream != stream && !earlier.event.is_over());
        uses.push(Use { event, stream });
    }

    /// Orders the later work of `stream`, which is of `gpu`, behind what is pending.
    pub(super) fn hold(&self, gpu: &Gpu, stream: CUstream) -> Result<(), DeviceError> {
        let stream_id = stream as usize;
        let uses = self.0.lock();
        uses.iter()
            .filter(|earlier| earlier.stream != stream_id)
            .try_for_each(|earlier| earlier.event.hold(gpu, stream))
    }

    /// Waits for what is pending.
    pub(super) fn wait(&self) -> Result<(), DeviceError> {
        // Other threads may use the buffer while this one waits.
        let events: SmallVec<[Arc<Event>; 2]> =
            self.0.lock().iter().map(|earlier| Arc::clone(&earlier.event)).collect();
        events.iter().try_for_each(|event| event.wait())
    }

    /// Whether nothing is pending.
    pub(super) fn is_over(&self) -> bool {
        self.0.lock().iter().all(|earlier| earlier.event.is_over())
    }

    /// Forgets what is pending, which the caller has waited for.
    pub(super) fn clear(&mut self) {
        self.0.get_mut().clear();
    }
}
