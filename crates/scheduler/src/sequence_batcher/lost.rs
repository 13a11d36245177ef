//! An instance failed, and with it what its model knew of sequences.

use std::collections::VecDeque;
use std::time::Instant;

use hippocamp_backend::{Error, FailureReason};

use super::slots::{Queued, Sequences, SlotAt, Taken};

impl Sequences {
    /// An instance had to be made anew. Where the model keeps the state of sequences, it is lost: they end here. Where
    /// the server keeps it, they go on.
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

    /// Drops requests that were about to be executed, but for those that a sequence starts with.
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

    /// Takes everything that waits out of the present sequence of a slot and ends it. What follows a START stays, but
    /// where a sequence is one request.
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
