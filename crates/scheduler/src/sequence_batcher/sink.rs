//! Stands between the backend and whoever waits for the answer to a request of a sequence.

use std::fmt;
use std::sync::Arc;

use hippocamp_backend::{Event, Outlet, ResponseSink, WantedOutputs};

use super::Shared;
use super::slots::SlotAt;
use super::states::SequenceStates;

/// Keeps the next states, passes everything else on, and lets the next request of the sequence go.
pub(super) struct SequenceSink {
    pub(super) shared: Arc<Shared>,
    pub(super) next: Outlet,
    pub(super) at: SlotAt,
    pub(super) serial: u64,
    pub(super) states: Arc<SequenceStates>,
    /// What the client asked for.
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
        // The client first: should it send the next request at once, that one waits until this one is done.
        self.next.send(event);
        if last {
            self.shared.complete(self.at, self.serial);
        }
    }

    fn is_cancelled(&self) -> bool {
        self.next.is_cancelled()
    }
}

impl fmt::Debug for SequenceSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SequenceSink").field("at", &self.at).finish_non_exhaustive()
    }
}
