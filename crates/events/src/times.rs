//! When an execution, or one of several responses, passed from one phase to the next.

use std::time::{Duration, Instant};

/// When an execution passed from one phase to the next.
#[derive(Clone, Copy, Debug)]
pub struct ExecutionTimes {
    /// The instance took the batch.
    pub started: Instant,
    /// The inputs are assembled.
    pub inputs_ready: Instant,
    /// The model has run.
    pub outputs_begun: Instant,
    /// The responses are ready to be sent.
    pub finished: Instant,
}

impl ExecutionTimes {
    /// Times of an execution whose phases all happen now; a backend moves them on as it goes.
    pub fn now() -> ExecutionTimes {
        ExecutionTimes::starting(Instant::now())
    }

    /// Times of an execution whose phases all happen at `started`; a backend moves them on as it goes.
    pub fn starting(started: Instant) -> ExecutionTimes {
        ExecutionTimes { started, inputs_ready: started, outputs_begun: started, finished: started }
    }

    /// How long the three phases took: assembling inputs, running the model, taking outputs apart.
    pub fn phases(&self) -> [Duration; 3] {
        [
            self.inputs_ready.saturating_duration_since(self.started),
            self.outputs_begun.saturating_duration_since(self.inputs_ready),
            self.finished.saturating_duration_since(self.outputs_begun),
        ]
    }
}

/// When a decoupled model went through one of its responses.
#[derive(Clone, Copy, Debug)]
pub struct ResponseTimes {
    /// The model began to compute it.
    pub started: Instant,
    /// It is computed, and its outputs are being written. `None` for one without outputs.
    pub output_begun: Option<Instant>,
    /// It is ready to be sent.
    pub finished: Instant,
}
