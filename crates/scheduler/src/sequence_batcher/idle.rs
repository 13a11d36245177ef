//! Ends sequences that are idle or cancelled, and refuses those that waited in the backlog for too long.

use std::time::{Duration, Instant};

use hippocamp_backend::{CorrelationId, Error, FailureReason};

use super::slots::{Active, Place, Queued, Sequences, SlotAt};

/// How often waiting requests are scanned for cancelled ones while there are sequences. Requests in the backlog may
/// wait for minutes, and so may later requests of their sequences.
const LOOKS_EVERY: Duration = Duration::from_millis(500);

impl Sequences {
    /// When a sequence without requests loses its slot; `None` while it has some.
    fn idle_until(&self, at: SlotAt) -> Option<Instant> {
        let slot = self.slot(at);
        let idle = slot.sequence.is_some() && slot.queue.is_empty() && slot.in_flight.is_none();
        idle.then(|| slot.last_used + self.policy.max_idle)
    }

    pub(super) fn end_if_idle(&mut self, id: &CorrelationId, now: Instant) {
        if let Some(Active { place: Place::Slot(at), .. }) = self.active.get(id)
            && let at = *at
            && self.idle_until(at).is_some_and(|until| until <= now)
        {
            self.release(at, now);
        }
    }

    /// Ends sequences that were idle for too long or have a cancelled request, and refuses those whose timeout passed
    /// in the backlog. Returns when it has to be called next; `None` without sequences.
    pub(super) fn reap(&mut self, now: Instant) -> Option<Instant> {
        self.drop_abandoned(now);
        while let Some(waiting) = self.backlog.pop_expired(now) {
            self.end(&waiting.sequence, now);
            for Queued { request, .. } in waiting.queue {
                let error = Error::unavailable("timeout of the corresponding sequence has been expired");
                self.refused.push((request, error, FailureReason::Rejected));
            }
        }
        let mut next = self.backlog.next_expiry();
        for instance in 0..self.instances.len() {
            for at in self.slots_of(instance) {
                if self.idle_until(at).is_some_and(|until| until <= now) {
                    self.release(at, now);
                }
                if self.slot(at).sequence.is_some() {
                    // A busy sequence cannot become idle before `max_idle` from now.
                    let until = self.idle_until(at).unwrap_or(now + self.policy.max_idle);
                    next = Some(next.map_or(until, |next| next.min(until)));
                }
            }
        }
        next.map(|next| next.min(now + LOOKS_EVERY))
    }

    /// When [`reap`](Sequences::reap) has to be called first, once there is a sequence. `expiry` is when the first
    /// sequence of the backlog has waited too long.
    pub(super) fn looks_at(&self, now: Instant, expiry: Option<Instant>) -> Instant {
        let next = now + LOOKS_EVERY.min(self.policy.max_idle);
        expiry.map_or(next, |expiry| next.min(expiry))
    }

    /// Cancels sequences whose next request is cancelled, in slots and in the backlog. Busy or sleeping instances do
    /// not check for this.
    fn drop_abandoned(&mut self, now: Instant) {
        for waiting in self.backlog.take_cancelled() {
            self.end(&waiting.sequence, now);
            self.cancel(waiting.queue);
        }
        for instance in 0..self.instances.len() {
            self.drop_cancelled(instance, now);
            self.drop_cancelled_fronts(instance, now);
        }
    }
}
