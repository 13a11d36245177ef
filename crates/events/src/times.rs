//! The times at which the phases of an execution, or of a decoupled response, began and ended.

use std::time::{Duration, Instant};

/// The times of an execution's phases.
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
    /// All times set to now. A backend updates each as it reaches the phase.
    pub fn now() -> ExecutionTimes {
        ExecutionTimes::starting(Instant::now())
    }

    /// All times set to `started`. A backend updates each as it reaches the phase.
    pub fn starting(started: Instant) -> ExecutionTimes {
        ExecutionTimes { started, inputs_ready: started, outputs_begun: started, finished: started }
    }

    /// The durations of the three phases: assembling inputs, running the model, splitting outputs.
    pub fn phases(&self) -> [Duration; 3] {
        [
            self.inputs_ready.saturating_duration_since(self.started),
            self.outputs_begun.saturating_duration_since(self.inputs_ready),
            self.finished.saturating_duration_since(self.outputs_begun),
        ]
    }
}

/// The times of one response of a decoupled model.
#[derive(Clone, Copy, Debug)]
pub struct ResponseTimes {
    /// The model began to compute it.
    pub started: Instant,
    /// The outputs are computed and are being written. `None` for a response without outputs.
    pub output_begun: Option<Instant>,
    /// The response is ready to be sent.
    pub finished: Instant,
}
