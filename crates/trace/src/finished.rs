//! A trace whose request is done.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use hippocamp_events::TraceContext;

use crate::{Record, Setting};

/// A trace to which nothing is added any more.
#[derive(Debug)]
pub struct FinishedTrace {
    /// The setting by which it was sampled.
    pub setting: Arc<Setting>,
    /// The id of the client's request in traces, counted from 1 since the start of the process.
    pub id: u64,
    /// The id of the whole trace: the client's, or one of its own.
    pub trace_id: [u8; 16],
    /// The id of the span of the whole request.
    pub span: [u8; 8],
    /// The client's span, if it sent one.
    pub parent: Option<TraceContext>,
    /// When the request was sampled, on two clocks.
    pub began: (Instant, SystemTime),
    /// When the last holder of the trace was done.
    pub ended: Instant,
    /// What was noted, in the order of noting, which is not always that of time.
    pub records: Vec<Record>,
}

impl FinishedTrace {
    /// The wall-clock time of a moment.
    pub fn wall_clock(&self, at: Instant) -> SystemTime {
        let (began, wall) = self.began;
        match at.checked_duration_since(began) {
            Some(later) => wall.checked_add(later),
            None => wall.checked_sub(began.saturating_duration_since(at)),
        }
        .unwrap_or(wall)
    }

    /// About how many bytes it takes, with what clients chose the length of.
    pub fn size(&self) -> usize {
        let state = self.parent.as_ref().and_then(|parent| parent.state.as_deref()).map_or(0, str::len);
        size_of::<FinishedTrace>() + state + self.records.iter().map(Record::size).sum::<usize>()
    }
}

/// The nanoseconds of a moment on the system's monotonic clock, as Triton writes them.
pub(crate) fn monotonic_nanoseconds(at: Instant) -> u64 {
    use std::sync::LazyLock;
    static ANCHOR: LazyLock<(Instant, Duration)> = LazyLock::new(|| {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        (Instant::now(), Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32))
    });
    let (anchor, clock) = *ANCHOR;
    let time = match at.checked_duration_since(anchor) {
        Some(later) => clock + later,
        None => clock.saturating_sub(anchor.duration_since(at)),
    };
    time.as_nanos() as u64
}
