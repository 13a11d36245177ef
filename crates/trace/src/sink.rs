//! Where finished traces go.

use std::fmt::Debug;
use std::time::Duration;

use crate::FinishedTrace;

/// Takes finished traces. No call blocks, apart from [`TraceSink::close`]: what cannot be taken at once is dropped and counted.
pub trait TraceSink: Send + Sync + Debug {
    /// Takes a trace, on whichever thread was the last to have to do with its request.
    fn collect(&self, trace: FinishedTrace);

    /// No trace of the setting of that number follows.
    fn release(&self, setting: u64) {
        let _ = setting;
    }

    /// Whether tensors are of any use. True by default.
    fn wants_tensors(&self) -> bool {
        true
    }

    /// The number of traces that could not be delivered.
    fn failed(&self) -> u64 {
        0
    }

    /// The number of traces that were dropped because too many waited.
    fn dropped(&self) -> u64 {
        0
    }

    /// Writes or sends all that was taken, within that time, and takes nothing more.
    fn close(&self, within: Duration) {
        let _ = within;
    }
}

/// Drops every trace.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSink;

impl TraceSink for NoSink {
    fn collect(&self, _: FinishedTrace) {}
}
