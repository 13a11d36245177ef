//! Sequences and where they are: in a slot of an instance, or in the backlog.
//!
//! This module neither blocks, locks nor reads a clock: the caller passes the time. Requests to be answered and
//! instances to be woken are collected in [`Sequences::refused`] and [`Sequences::woken`]. The caller processes them
//! after it has released the lock, because answering a request may take it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use hippocamp_backend::{CorrelationId, Error, FailureReason, Request};
use smallvec::SmallVec;

use super::backlog::Backlog;
use super::policy::{SequencePolicy, Strategy};
use super::states::SequenceStates;
use super::unfinished::Unfinished;

/// A slot of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotAt {
    pub(super) instance: usize,
    pub(super) slot: usize,
}

/// The location of a sequence, to which its further requests are queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Active {
    pub(super) serial: u64,
    pub(super) place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Slot(SlotAt),
    Backlog,
}

/// A request that waits in its sequence.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) request: Request,
    /// The request was executed before. The batcher's additions, except for the inputs, are in place.
    pub(super) rescheduled: bool,
}

impl Queued {
    /// Whether the request starts a sequence.
    pub(super) fn starts(&self) -> bool {
        self.request.sequence.as_ref().is_some_and(|sequence| sequence.start)
    }

    /// Whether the request ends a sequence.
    fn ends(&self) -> bool {
        self.request.sequence.as_ref().is_some_and(|sequence| sequence.end)
    }
}

/// A request that left its slot to be executed. The slot waits for [`Sequences::complete`].
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) queued: Queued,
    pub(super) at: SlotAt,
    /// The number of its sequence.
    pub(super) serial: u64,
    pub(super) states: Arc<SequenceStates>,
    /// When the request was taken.
    pub(super) since: Instant,
}

/// A sequence, in a slot or in the backlog.
#[derive(Debug)]
pub(super) struct Sequence {
    /// The sequence's number, counted over the model, which distinguishes sequences of the same id.
    pub(super) serial: u64,
    /// The id under which more requests may arrive; `None` once END has arrived.
    pub(super) open: Option<CorrelationId>,
    /// The sequence of the same id that has to be done before this one begins.
    pub(super) after: Option<u64>,
    /// A request of the sequence was taken, so that the model may keep a state for it.
    pub(super) begun: bool,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) queue: VecDeque<Queued>,
    /// `None` while the slot is free.
    pub(super) sequence: Option<Sequence>,
    /// The number of the sequence that has a request in flight or staged. It may be the previous sequence of the slot.
    pub(super) in_flight: Option<u64>,
    pub(super) states: Arc<SequenceStates>,
    /// When the last request of the sequence arrived or was done.
    pub(super) last_used: Instant,
}

/// One instance and its slots.
#[derive(Debug)]
pub(super) struct InstanceSlots {
    pub(super) slots: Vec<Slot>,
    /// Oldest strategy: the next request of each sequence that has one, in the order in which they became ready.
    pub(super) staged: VecDeque<Taken>,
    /// Requests that were taken and are not done.
    pub(super) in_flight: usize,
    /// The test hook delays the first batch of the instance.
    pub(super) delaying: bool,
}

/// A request to be answered without being executed.
pub(super) type Refused = (Request, Error, FailureReason);

#[derive(Debug)]
pub(super) struct Sequences {
    pub(super) policy: Arc<SequencePolicy>,
    pub(super) instances: Vec<InstanceSlots>,
    /// Slots without a sequence, by slot number and instance: batches stay small and grow evenly.
    free: BinaryHeap<Reverse<(usize, usize)>>,
    /// Sequences that may get further requests.
    pub(super) active: HashMap<CorrelationId, Active>,
    pub(super) unfinished: Unfinished,
    pub(super) backlog: Backlog,
    /// The number of waiting requests: in slots, staged, and in the backlog. Requests in `refused` count until they are
    /// answered.
    pub(super) waiting: usize,
    pub(super) refused: Vec<Refused>,
    pub(super) woken: SmallVec<[usize; 4]>,
    /// No more requests are accepted; the waiting ones are still executed.
    pub(super) closed: bool,
    pub(super) next_serial: u64,
}

impl Sequences {
    pub(super) fn new(policy: SequencePolicy, instances: usize) -> Sequences {
        let policy = Arc::new(policy);
        let delaying = policy.hooks.requests > 0;
        let one = |_| InstanceSlots { slots: Vec::new(), staged: VecDeque::new(), in_flight: 0, delaying };
        Sequences {
            instances: (0..instances).map(one).collect(),
            free: BinaryHeap::new(),
            active: HashMap::new(),
            unfinished: Unfinished::default(),
            backlog: Backlog::default(),
            waiting: 0,
            refused: Vec::new(),
            woken: SmallVec::new(),
            closed: false,
            next_serial: 1,
            policy,
        }
    }

    /// Takes a free slot. Slots are created when they are first needed, because a config may allow any number.
    pub(super) fn free_slot(&mut self, now: Instant) -> Option<SlotAt> {
        let made = self.instances.first()?.slots.len();
        if self.free.is_empty() && made < self.policy.slots {
            for (index, instance) in self.instances.iter_mut().enumerate() {
                instance.slots.push(Slot {
                    queue: VecDeque::new(),
                    sequence: None,
                    in_flight: None,
                    states: self.policy.states.begin(),
                    last_used: now,
                });
                self.free.push(Reverse((made, index)));
            }
        }
        let Reverse((slot, instance)) = self.free.pop()?;
        Some(SlotAt { instance, slot })
    }

    pub(super) fn is_oldest(&self) -> bool {
        matches!(self.policy.strategy, Strategy::Oldest { .. })
    }

    pub(super) fn slot(&self, at: SlotAt) -> &Slot {
        &self.instances[at.instance].slots[at.slot]
    }

    pub(super) fn slot_mut(&mut self, at: SlotAt) -> &mut Slot {
        &mut self.instances[at.instance].slots[at.slot]
    }

    pub(super) fn slots_of(&self, instance: usize) -> impl Iterator<Item = SlotAt> + use<> {
        (0..self.instances[instance].slots.len()).map(move |slot| SlotAt { instance, slot })
    }

    /// The true value of [`Sequences::waiting`], counted one by one.
    #[cfg(test)]
    pub(super) fn count_waiting(&self) -> usize {
        let instances = self.instances.iter();
        let waiting =
            instances.map(|i| i.staged.len() + i.slots.iter().map(|s| s.queue.len()).sum::<usize>());
        waiting.sum::<usize>() + self.backlog.len()
    }

    /// The next request of a slot, if its sequence allows it to be executed.
    pub(super) fn front(&self, at: SlotAt) -> Option<&Queued> {
        let slot = self.slot(at);
        let after = slot.sequence.as_ref().and_then(|sequence| sequence.after);
        if after.is_some_and(|serial| self.unfinished.contains(serial)) {
            return None;
        }
        slot.queue.front()
    }

    /// Gives a free slot to a sequence.
    pub(super) fn occupy(&mut self, at: SlotAt, sequence: Sequence, queue: VecDeque<Queued>, now: Instant) {
        if let Some(id) = &sequence.open {
            self.active.insert(id.clone(), Active { serial: sequence.serial, place: Place::Slot(at) });
        }
        let slot = self.slot_mut(at);
        slot.sequence = Some(sequence);
        slot.queue = queue;
        slot.last_used = now;
        self.ready(at, now);
    }

    /// Frees the slot of a sequence that has no waiting request.
    pub(super) fn release(&mut self, at: SlotAt, now: Instant) {
        // The old states live on with the request in flight, if there is one.
        let nothing = self.policy.states.begin();
        let slot = self.slot_mut(at);
        slot.states = nothing;
        let in_flight = slot.in_flight;
        if let Some(sequence) = slot.sequence.take() {
            if in_flight == Some(sequence.serial) {
                // The sequence ends when its request in flight is done.
                self.forget(&sequence);
            } else {
                self.end(&sequence, now);
            }
        }
        // With the direct strategy the slot can be reused at once: the next batch waits for this one anyway, and a low
        // row keeps it small. With the oldest strategy a new sequence would wait for the request in flight, so the slot
        // stays unused until that is done.
        if in_flight.is_none() || !self.is_oldest() {
            self.give_away(at, now);
        }
    }

    /// Gives a free slot to the next sequence of the backlog, or to the list of free slots.
    fn give_away(&mut self, at: SlotAt, now: Instant) {
        while let Some(waiting) = self.backlog.pop() {
            if waiting.queue.iter().any(|queued| queued.request.is_cancelled()) {
                self.end(&waiting.sequence, now);
                self.cancel(waiting.queue);
                continue;
            }
            return self.occupy(at, waiting.sequence, waiting.queue, now);
        }
        self.free.push(Reverse((at.slot, at.instance)));
    }

    /// Closes a sequence to further requests.
    fn forget(&mut self, sequence: &Sequence) {
        if let Some(id) = &sequence.open {
            self.active.remove(id);
        }
    }

    /// Ends a sequence. A waiting sequence of the same id may begin.
    pub(super) fn end(&mut self, sequence: &Sequence, now: Instant) {
        self.forget(sequence);
        self.finish(sequence.serial, now);
    }

    fn finish(&mut self, serial: u64, now: Instant) {
        let mut over = SmallVec::new();
        self.unfinished.finish(serial, &mut over);
        if over.is_empty() || self.waiting == 0 {
            return;
        }
        for instance in 0..self.instances.len() {
            for at in self.slots_of(instance) {
                let after = self.slot(at).sequence.as_ref().and_then(|sequence| sequence.after);
                if after.is_some_and(|after| over.contains(&after)) {
                    self.ready(at, now);
                }
            }
        }
    }

    /// Notes that a slot may have a request to execute.
    pub(super) fn ready(&mut self, at: SlotAt, now: Instant) {
        if self.is_oldest() {
            self.stage(at, now);
        }
        self.wake(at.instance);
    }

    /// Takes the next request of a slot that has one and none in flight. Ends the sequence with its last request.
    pub(super) fn take(&mut self, at: SlotAt, now: Instant) -> Option<Taken> {
        let fresh = self.slot(at).queue.front()?.starts().then(|| self.policy.states.begin());
        let iterative = self.policy.iterative;
        let slot = self.slot_mut(at);
        let sequence = slot.sequence.as_mut()?;
        sequence.begun = true;
        let serial = sequence.serial;
        let queued = slot.queue.pop_front()?;
        if let Some(fresh) = fresh {
            slot.states = fresh;
        }
        slot.in_flight = Some(serial);
        let states = Arc::clone(&slot.states);
        self.instances[at.instance].in_flight += 1;
        if queued.ends() && !iterative {
            self.release(at, now);
        }
        Some(Taken { queued, at, serial, states, since: now })
    }

    /// Marks the request in flight of that slot and sequence as done, so that the next one may be executed. Does
    /// nothing if none is in flight: a rescheduled request may be answered while it waits.
    pub(super) fn complete(&mut self, at: SlotAt, serial: u64, now: Instant) {
        let iterative = self.policy.iterative;
        if self.slot(at).in_flight != Some(serial) {
            return;
        }
        self.instances[at.instance].in_flight -= 1;
        let slot = self.slot_mut(at);
        slot.in_flight = None;
        match slot.sequence.as_ref().map(|sequence| sequence.serial) {
            Some(present) if present == serial => {
                slot.last_used = now;
                if iterative && slot.queue.is_empty() {
                    self.release(at, now);
                }
            }
            Some(_) => self.finish(serial, now),
            None => {
                self.finish(serial, now);
                if self.is_oldest() {
                    self.give_away(at, now);
                }
            }
        }
        self.ready(at, now);
        if self.closed {
            self.wake_all();
        }
    }

    /// Queues a request again that its backend rescheduled.
    pub(super) fn reschedule(&mut self, mut request: Request, now: Instant) {
        self.waiting += 1;
        let place = request.sequence.as_mut().and_then(|sequence| {
            (sequence.start, sequence.end) = (false, false);
            self.active.get(&sequence.correlation_id).map(|active| active.place)
        });
        let Some(Place::Slot(at)) = place.filter(|_| self.policy.iterative) else {
            let model = &self.policy.model;
            let error = Error::internal(format!(
                "the backend wants to execute a request again, but model '{model}' has no 'iterative_sequence'"
            ));
            return self.refused.push((request, error, FailureReason::Backend));
        };
        request.queued = now;
        request.inputs.truncate(self.policy.client_inputs);
        let slot = self.slot_mut(at);
        // The request is not done, so it goes before requests that arrived under the same id meanwhile.
        slot.queue.push_front(Queued { request, rescheduled: true });
        if let Some(serial) = slot.in_flight {
            self.complete(at, serial, now);
        }
    }

    /// Drops all waiting requests of a slot, because one of them was cancelled. As in Triton, that includes requests
    /// that came under the same id with another START.
    pub(super) fn cancel_sequence(&mut self, at: SlotAt, now: Instant) {
        let dropped = std::mem::take(&mut self.slot_mut(at).queue);
        self.release(at, now);
        self.cancel(dropped);
    }

    pub(super) fn cancel(&mut self, dropped: VecDeque<Queued>) {
        for Queued { request, .. } in dropped {
            let error = Error::cancelled("the sequence was cancelled");
            self.refused.push((request, error, FailureReason::Canceled));
        }
    }

    /// Whether a slot still belongs to the sequence of that number.
    pub(super) fn has_sequence(&self, at: SlotAt, serial: u64) -> bool {
        self.slot(at).sequence.as_ref().is_some_and(|sequence| sequence.serial == serial)
    }

    /// After the batcher was closed, ends the sequences of an instance that have no requests. Returns true once the
    /// instance has nothing left to execute.
    pub(super) fn finished(&mut self, instance: usize, now: Instant) -> bool {
        if !self.closed {
            return false;
        }
        for at in self.slots_of(instance) {
            let slot = self.slot(at);
            if slot.sequence.is_some() && slot.queue.is_empty() && slot.in_flight.is_none() {
                self.release(at, now);
            }
        }
        let slots = &self.instances[instance];
        let idle = slots.in_flight == 0 && slots.slots.iter().all(|slot| slot.queue.is_empty());
        idle && self.backlog.is_empty()
    }

    /// Wakes instances that are delayed by the test hook, because the requests that it counts may have arrived at
    /// another instance or in the backlog.
    pub(super) fn wake_collecting(&mut self) {
        if self.policy.hooks.requests > 0 {
            self.wake_all();
        }
    }

    pub(super) fn wake(&mut self, instance: usize) {
        self.wake_collecting();
        if !self.woken.contains(&instance) {
            self.woken.push(instance);
        }
    }

    pub(super) fn wake_all(&mut self) {
        self.woken = (0..self.instances.len()).collect();
    }

    /// Whether there is any sequence, so that the reaping thread has work.
    pub(super) fn any_sequence(&self) -> bool {
        self.free.len() < self.instances.iter().map(|instance| instance.slots.len()).sum()
    }
}
