//! Events: points in the work of a stream that others wait for.

use std::hint;
use std::ptr::null_mut;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cudarc::driver::sys::{CUevent, CUevent_flags_enum, CUstream};

use super::gpu::{Gpu, Relaxed};
use super::library::Status;
use super::status;
use crate::{DeviceError, Mark};

/// How long a thread spins before it lets others run between two looks.
const SPIN: Duration = Duration::from_micros(30);

/// How long a thread looks again and again before it sleeps until the event. Waking it takes some hundred microseconds, which is
/// little of what takes this long.
const AWAKE: Duration = Duration::from_millis(5);

/// A point in the work of a stream. It is recorded once.
#[derive(Debug)]
pub(super) struct Event {
    gpu: Arc<Gpu>,
    event: CUevent,
}

// SAFETY: events of the driver may be used by all threads.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    /// The point behind all that was queued on `stream`. The GPU has to be entered.
    pub(super) fn record(gpu: &Arc<Gpu>, stream: CUstream) -> Result<Event, DeviceError> {
        let cached = gpu.active()?.take_event();
        let event = match cached {
            Some(event) => event,
            None => create(gpu)?,
        };
        let event = Event { gpu: Arc::clone(gpu), event };
        // SAFETY: both handles are alive.
        gpu.check("record an event", unsafe { (gpu.functions.record_event)(event.event, stream) })?;
        Ok(event)
    }

    /// Whether the work before the event is complete, or never will be as the device is lost.
    pub(super) fn is_over(&self) -> bool {
        let status = self.query(&Relaxed::begin(self.gpu.functions));
        status == status::SUCCESS || status::is_final(status)
    }

    /// Asks for the event, which a capture of another thread forbids and which would spoil that capture.
    fn query(&self, _relaxed: &Relaxed) -> Status {
        // SAFETY: the handle is alive.
        unsafe { (self.gpu.functions.query_event)(self.event) }
    }

    /// Orders the later work of `stream`, which is of `gpu`, behind the event, which may be of another one.
    pub(super) fn hold(&self, gpu: &Gpu, stream: CUstream) -> Result<(), DeviceError> {
        if self.is_over() {
            return Ok(());
        }
        // SAFETY: both handles are alive.
        let status = unsafe { (gpu.functions.wait_for_event)(stream, self.event, 0) };
        gpu.check_with(&self.gpu, "wait for an event", status)
    }

    /// Waits until the work before the event is complete: looks again and again for some milliseconds, then sleeps.
    pub(super) fn wait(&self) -> Result<(), DeviceError> {
        // Errors of the context that is current may be reported as well, so this has to be the event's.
        let (_, entered) = self.gpu.enter()?;
        let begin = Instant::now();
        while self.query(entered.relaxed()) == status::NOT_READY {
            match begin.elapsed() {
                waited if waited < SPIN => hint::spin_loop(),
                waited if waited < AWAKE => thread::yield_now(),
                _ => break,
            }
        }
        // Also when it is complete: this is where the driver takes back what the pool has beyond its size.
        // SAFETY: the handle is alive.
        let status = unsafe { (self.gpu.functions.synchronize_event)(self.event) };
        self.gpu.check("complete its work", status)
    }
}

impl Mark for Event {
    fn wait(&self) -> Result<(), DeviceError> {
        Event::wait(self)
    }
}

fn create(gpu: &Gpu) -> Result<CUevent, DeviceError> {
    let mut event = null_mut();
    let flags = CUevent_flags_enum::CU_EVENT_BLOCKING_SYNC as u32
        | CUevent_flags_enum::CU_EVENT_DISABLE_TIMING as u32;
    // SAFETY: writes the handle.
    gpu.check("create an event", unsafe { (gpu.functions.create_event)(&raw mut event, flags) })?;
    Ok(event)
}

impl Drop for Event {
    fn drop(&mut self) {
        if let Some(active) = self.gpu.if_active() {
            active.give_event(self.event);
        }
    }
}
