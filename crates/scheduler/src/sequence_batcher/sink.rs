//! The response sink of a sequence's request, between the backend and the client's receiver.

use std::fmt;
use std::sync::Arc;

use hippocamp_backend::{Event, Outlet, OutputTensor, Response, ResponseSink, Result, WantedOutputs};

use super::Shared;
use super::slots::SlotAt;
use super::states::SequenceStates;

/// Stores the sequence's new states, forwards all events, and releases the next request of the sequence at the end.
pub(super) struct SequenceSink {
    pub(super) shared: Arc<Shared>,
    pub(super) next: Outlet,
    pub(super) at: SlotAt,
    pub(super) serial: u64,
    pub(super) states: Arc<SequenceStates>,
    /// The outputs that the client asked for.
    pub(super) asked: WantedOutputs,
}

impl ResponseSink for SequenceSink {
    fn deliver(&mut self, mut event: Event) {
        let last = event.is_last();
        if let Event::Response { response, .. } = &mut event
            && let Err(error) = self.shared.policy.states.take(response, &self.states, &self.asked)
        {
            event = Event::Failed(error);
        }
        // The client's event is sent first. If the client sends its next request at once, that one waits until this one
        // is done.
        self.next.send(event);
        if last {
            self.shared.complete(self.at, self.serial);
        }
    }

    fn is_cancelled(&self) -> bool {
        self.next.is_cancelled()
    }

    fn keep_state(&mut self, state: OutputTensor) -> Result<()> {
        let mut states = Response::default();
        states.outputs.push(state);
        self.shared.policy.states.take(&mut states, &self.states, &WantedOutputs::ALL)
    }
}

impl fmt::Debug for SequenceSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SequenceSink").field("at", &self.at).finish_non_exhaustive()
    }
}
