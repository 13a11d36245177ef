//! Receives the responses of a step.

use std::sync::Arc;

use hippocamp_backend::{Event, ResponseSink};

use crate::branch::Branch;
use crate::run::Run;

/// Receives the events of a step's request on the model's instance thread, and starts what they make ready.
#[derive(Debug)]
pub(crate) struct StepSink {
    pub(crate) run: Arc<Run>,
    pub(crate) branch: Arc<Branch>,
    pub(crate) step: usize,
    /// The batch size of the step's request; `None` if its model has no batch dimension.
    pub(crate) batch_size: Option<usize>,
}

impl ResponseSink for StepSink {
    fn deliver(&mut self, event: Event) {
        let is_last = event.is_last();
        if is_last {
            self.run.leave_limit(self.step);
        }
        match event {
            Event::Response { response, .. } => Run::advance(&self.run, self, response),
            // A failed response would leave later steps without input, so it fails the whole request, as in Triton.
            Event::Failed(error) | Event::ResponseFailed(error) => self.run.fail(error),
            Event::End => {}
        }
        if is_last {
            self.run.step_done();
        }
    }

    fn is_cancelled(&self) -> bool {
        self.run.is_cancelled()
    }
}
