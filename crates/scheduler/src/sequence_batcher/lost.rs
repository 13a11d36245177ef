//! The loss of an instance, and with it of the sequence states that its model kept.

use std::collections::VecDeque;
use std::time::Instant;

use hippocamp_backend::{Error, FailureReason};

use super::slots::{Queued, Sequences, SlotAt, Taken};

impl Sequences {
    /// Handles the loss of an instance that has to be recreated. Sequences whose state the model keeps end; those whose
    /// state the server keeps continue.
    pub(super) fn instance_lost(&mut self, instance: usize, now: Instant) {
        if !self.policy.states.is_empty() {
            return;
        }
        self.drop_staged(instance, now);
        for at in self.slots_of(instance) {
            let Some(sequence) = &self.slot(at).sequence else { continue };
            let serial = sequence.serial;
            let starts_anew = self.instances[instance].staged.iter().any(|taken| taken.serial == serial);
            if sequence.begun && !starts_anew {
                let lost = self.drain_sequence(at, now);
                self.lose(lost);
            }
        }
    }

    /// Drops staged requests, except those that start a sequence.
    fn drop_staged(&mut self, instance: usize, now: Instant) {
        let staged = std::mem::take(&mut self.instances[instance].staged);
        let (kept, lost): (Vec<_>, Vec<_>) = staged.into_iter().partition(|taken| taken.queued.starts());
        self.instances[instance].staged = kept.into();
        for Taken { queued, at, serial, .. } in lost {
            self.lose([queued].into());
            if self.has_sequence(at, serial) {
                let rest = self.drain_sequence(at, now);
                self.lose(rest);
            }
            self.complete(at, serial, now);
        }
    }

    /// Ends the current sequence of a slot and removes its waiting requests. Requests from the next START on stay,
    /// unless each request is a whole sequence.
    fn drain_sequence(&mut self, at: SlotAt, now: Instant) -> VecDeque<Queued> {
        let iterative = self.policy.iterative;
        let slot = self.slot_mut(at);
        let start = slot.queue.iter().position(Queued::starts).filter(|_| !iterative);
        let kept = start.map_or_else(VecDeque::new, |start| slot.queue.split_off(start));
        let dropped = std::mem::replace(&mut slot.queue, kept);
        if slot.queue.is_empty() {
            self.release(at, now);
        } else if let Some(sequence) = &mut slot.sequence {
            sequence.begun = false;
        }
        dropped
    }

    fn lose(&mut self, lost: VecDeque<Queued>) {
        for Queued { request, .. } in lost {
            let error = Error::internal(format!(
                "the instance of model '{}' that had the state of this sequence failed; start the sequence again",
                self.policy.model
            ));
            self.refused.push((request, error, FailureReason::Backend));
        }
    }
}
