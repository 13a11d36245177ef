//! The requests of a worker.

use std::sync::Arc;

use crate::exchange::Call;
use crate::plan::Plan;
use crate::sequence::{Sequences, Step};

/// The same request again and again, or the requests of sequences.
#[derive(Debug)]
pub(crate) struct Calls {
    plan: Arc<Plan>,
    worker: u32,
    sequences: Option<Sequences>,
    /// The last request: the next is often the same.
    call: Call,
}

impl Calls {
    pub(crate) fn new(plan: &Arc<Plan>, worker: u32) -> Calls {
        let sequences = plan.sequence.map(Sequences::new);
        let call = Call { message: plan.encoder.encode(worker, None), step: None };
        Calls { plan: Arc::clone(plan), worker, sequences, call }
    }

    /// The next request.
    pub(crate) fn next(&mut self) -> &Call {
        if let Some(sequences) = &mut self.sequences {
            let step = sequences.next();
            self.encode(step);
        }
        &self.call
    }

    /// A request that ends the sequence which has begun, if one has.
    pub(crate) fn end(&mut self) -> Option<&Call> {
        let step = self.sequences.as_mut()?.end()?;
        self.encode(step);
        Some(&self.call)
    }

    /// Begins another sequence with the next request, as the last one failed.
    pub(crate) fn failed(&mut self) {
        self.sequences.iter_mut().for_each(Sequences::restart);
    }

    fn encode(&mut self, step: Step) {
        if self.call.step != Some(step) {
            self.call = Call { message: self.plan.encoder.encode(self.worker, Some(step)), step: Some(step) };
        }
    }
}
