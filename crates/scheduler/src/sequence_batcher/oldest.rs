//! The oldest strategy: batches of the oldest requests, at most one of each sequence.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::direct::{Next, Row};
use super::slots::{Queued, Sequences, SlotAt, Taken};
use super::states::SequenceStates;

impl Sequences {
    /// Stages the next request of a sequence for execution, unless one of its requests is already staged or in flight.
    pub(super) fn stage(&mut self, at: SlotAt, now: Instant) {
        while self.slot(at).in_flight.is_none() {
            match self.front(at) {
                None => return,
                Some(front) if front.request.is_cancelled() => self.cancel_sequence(at, now),
                Some(_) => {
                    if let Some(taken) = self.take(at, now) {
                        self.instances[at.instance].staged.push_back(taken);
                    }
                }
            }
        }
    }

    /// Returns what an instance does next.
    pub(super) fn look_oldest(
        &mut self,
        instance: usize,
        preferred: &[usize],
        delay: Duration,
        now: Instant,
    ) -> Next {
        self.drop_cancelled(instance, now);
        if self.finished(instance, now) {
            return Next::End;
        }
        let staged = &self.instances[instance].staged;
        let Some(oldest) = staged.front() else { return Next::Wait(None) };
        // At most one request of each sequence is staged, so a larger number would never be reached.
        let collected = self.policy.hooks.requests.min(self.policy.slots);
        if self.instances[instance].delaying && !self.closed && staged.len() < collected {
            return Next::Wait(None);
        }
        let max = self.policy.max_batch_size;
        let like_the_oldest = |taken: &&Taken| {
            self.policy.fitting.together(&oldest.queued.request, &taken.queued.request)
                && self.policy.states.are_alike(&oldest.states, &taken.states)
        };
        let count = staged.iter().take(max).take_while(like_the_oldest).count();
        let complete = count == max || count < staged.len();
        let preferred = preferred.iter().copied().filter(|size| *size <= count).max();
        match preferred {
            _ if complete => Next::Execute(count),
            Some(preferred) => Next::Execute(preferred),
            None if self.closed || now >= oldest.since + delay => Next::Execute(count),
            None => Next::Wait(Some(oldest.since + delay)),
        }
    }

    /// Takes the `count` requests that have been staged longest.
    pub(super) fn take_oldest(&mut self, instance: usize, count: usize, rows: &mut Vec<Row>) {
        let instance = &mut self.instances[instance];
        instance.delaying = false;
        rows.extend(instance.staged.drain(..count).map(Some));
    }

    /// Drops cancelled requests, and with each the waiting requests of its sequence.
    pub(super) fn drop_cancelled(&mut self, instance: usize, now: Instant) {
        while let Some(index) =
            self.instances[instance].staged.iter().position(|taken| taken.queued.request.is_cancelled())
        {
            let Some(taken) = self.instances[instance].staged.remove(index) else { return };
            let Taken { queued, at, serial, .. } = taken;
            self.cancel([queued].into());
            if self.has_sequence(at, serial) {
                self.cancel_sequence(at, now);
            }
            self.complete(at, serial, now);
        }
    }

    /// The states that the next request of a slot will get.
    pub(super) fn next_states(&self, at: SlotAt) -> Arc<SequenceStates> {
        let slot = self.slot(at);
        if slot.queue.front().is_some_and(Queued::starts) {
            self.policy.states.begin()
        } else {
            Arc::clone(&slot.states)
        }
    }
}
