//! The direct strategy: every sequence keeps its row of the batch.

use std::time::{Duration, Instant};

use super::slots::{Sequences, Taken};

/// A row of the next batch. `None`: the slot of this row has no request for the batch.
pub(super) type Row = Option<Taken>;

/// What an instance does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Execute a batch of that many rows.
    Execute(usize),
    /// Wait to be woken, at most until this time.
    Wait(Option<Instant>),
    /// End: the batcher is closed and nothing is left to execute.
    End,
}

impl Sequences {
    /// Returns what an instance does next. A batch has a row for each slot up to the last with an executable request.
    pub(super) fn look_direct(
        &mut self,
        instance: usize,
        utilization: f32,
        delay: Duration,
        now: Instant,
    ) -> Next {
        if self.finished(instance, now) {
            return Next::End;
        }
        // Rows belong to sequences, so a batch begins only when all rows of the previous one are done.
        if self.instances[instance].in_flight > 0 || self.is_delaying_direct() {
            return Next::Wait(None);
        }
        self.drop_cancelled_fronts(instance, now);
        let fronts = || self.slots_of(instance).filter_map(|at| Some((at.slot, self.front(at)?)));
        let Some(oldest) = fronts().map(|(_, queued)| queued.request.queued).min() else {
            return Next::Wait(None);
        };
        if !delay.is_zero() && utilization > 0.0 && !self.closed {
            let until = oldest + delay;
            let used = fronts().count() as f32 / self.policy.max_batch_size as f32;
            if used < utilization && now < until {
                return Next::Wait(Some(until));
            }
        }
        Next::Execute(fronts().last().map_or(0, |(slot, _)| slot + 1))
    }

    /// Cancels the sequences of an instance whose next request is cancelled.
    pub(super) fn drop_cancelled_fronts(&mut self, instance: usize, now: Instant) {
        for at in self.slots_of(instance) {
            while self.front(at).is_some_and(|queued| queued.request.is_cancelled()) {
                self.cancel_sequence(at, now);
            }
        }
    }

    /// Takes the first request of each of the first `count` slots if it fits together with that of the first slot that
    /// has one. The row of a request that does not fit stays empty in this batch, so that models see the same rows as
    /// in Triton.
    pub(super) fn take_direct(&mut self, instance: usize, count: usize, rows: &mut Vec<Row>, now: Instant) {
        for at in self.slots_of(instance).take(count) {
            let first = rows.iter().flatten().next();
            let fits = self.front(at).is_some_and(|queued| {
                first.is_none_or(|first| {
                    let states = || self.policy.states.are_alike(&first.states, &self.next_states(at));
                    self.policy.fitting.together(&first.queued.request, &queued.request)
                        && (!self.policy.states.are_variable() || states())
                })
            });
            rows.push(if fits { self.take(at, now) } else { None });
        }
    }

    /// Whether the test hook still delays the first batch until enough requests wait.
    fn is_delaying_direct(&mut self) -> bool {
        if self.closed || !self.instances.iter().any(|instance| instance.delaying) {
            return false;
        }
        let slots = self.instances.iter().flat_map(|instance| &instance.slots);
        let waiting: usize = slots.map(|slot| slot.queue.len()).sum();
        if waiting < self.policy.hooks.requests || self.backlog.len() < self.policy.hooks.backlog {
            return true;
        }
        for instance in &mut self.instances {
            instance.delaying = false;
        }
        self.wake_all();
        false
    }
}
