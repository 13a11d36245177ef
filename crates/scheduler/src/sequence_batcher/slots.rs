//! Sequences and where they are: in a slot of an instance, or in the backlog.
//!
//! Nothing here waits, locks or looks at a clock; whoever calls says what time it is. What has to be answered, and which
//! instances have to be woken, is collected in [`Sequences::refused`] and [`Sequences::woken`] for the caller, who
//! sees to it without holding the lock: an answer may come back here.

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

/// Where a sequence is, and with it where its further requests go.
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

/// A request that waits for its turn in its sequence.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) request: Request,
    /// It was executed before and has everything that the batcher adds to a request, but for the inputs.
    pub(super) rescheduled: bool,
}

impl Queued {
    /// Whether a sequence begins with it.
    pub(super) fn starts(&self) -> bool {
        self.request.sequence.as_ref().is_some_and(|sequence| sequence.start)
    }

    /// Whether a sequence ends with it.
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
    /// When it was taken.
    pub(super) since: Instant,
}

/// A sequence, in a slot or in the backlog.
#[derive(Debug)]
pub(super) struct Sequence {
    /// Counts all sequences of the model, so that two of the same id are told apart.
    pub(super) serial: u64,
    /// The id under which more requests may come; `None` once its END is there.
    pub(super) open: Option<CorrelationId>,
    /// The sequence of the same id that has to be done before this one begins.
    pub(super) after: Option<u64>,
    /// A request of it was taken, so that the model may have a state for it.
    pub(super) begun: bool,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) queue: VecDeque<Queued>,
    /// `None` while it is in the list of free ones.
    pub(super) sequence: Option<Sequence>,
    /// The number of the sequence of which a request is being executed, or is about to be. It may be the one before.
    pub(super) in_flight: Option<u64>,
    pub(super) states: Arc<SequenceStates>,
    /// When the last request of the sequence came or was done.
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
    /// It has not yet begun, because a test wants requests to collect first.
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
    /// Requests that wait: in slots, ready to be executed, and in the backlog. Those in `refused` count until they are
    /// answered.
    pub(super) waiting: usize,
    pub(super) refused: Vec<Refused>,
    pub(super) woken: SmallVec<[usize; 4]>,
    /// No more requests come; what waits is still executed.
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

    /// Takes a slot from the list of free ones. The slots of an instance are made when they are first needed: a config may
    /// allow any number.
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

    /// As [`Sequences::waiting`], counted one by one.
    #[cfg(test)]
    pub(super) fn count_waiting(&self) -> usize {
        let instances = self.instances.iter();
        let waiting =
            instances.map(|i| i.staged.len() + i.slots.iter().map(|s| s.queue.len()).sum::<usize>());
        waiting.sum::<usize>() + self.backlog.len()
    }

    /// The request of a slot that may be executed next, as far as its sequence is concerned.
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

    /// Takes a slot from its sequence, which has nothing in it any more.
    pub(super) fn release(&mut self, at: SlotAt, now: Instant) {
        // What it held goes with the last request that is still executed.
        let nothing = self.policy.states.begin();
        let slot = self.slot_mut(at);
        slot.states = nothing;
        let in_flight = slot.in_flight;
        if let Some(sequence) = slot.sequence.take() {
            if in_flight == Some(sequence.serial) {
                // Over when that one is done.
                self.forget(&sequence);
            } else {
                self.end(&sequence, now);
            }
        }
        // With rows of their own, the next batch begins when this one is done, and a low row keeps it small. Without, the
        // next sequence need not wait for a request of this one: other slots are as good.
        if in_flight.is_none() || !self.is_oldest() {
            self.give_away(at, now);
        }
    }

    /// Gives a slot without a sequence to the next one of the backlog.
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

    /// No more requests of that sequence are taken in.
    fn forget(&mut self, sequence: &Sequence) {
        if let Some(id) = &sequence.open {
            self.active.remove(id);
        }
    }

    /// That sequence is over. One of the same id may begin.
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

    /// A slot may have got something to execute.
    pub(super) fn ready(&mut self, at: SlotAt, now: Instant) {
        if self.is_oldest() {
            self.stage(at, now);
        }
        self.wake(at.instance);
    }

    /// Takes the next request out of a slot that has one and waits for none. Ends the sequence after its last.
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

    /// The request of that sequence which was taken from that slot is done: the next one may go. Nothing happens if none
    /// is taken: what was rescheduled may be answered while it waits.
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

    /// Takes back a request that its backend wants once more.
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
        // Before anything that came under the same id meanwhile: the request is not done.
        slot.queue.push_front(Queued { request, rescheduled: true });
        if let Some(serial) = slot.in_flight {
            self.complete(at, serial, now);
        }
    }

    /// Drops all that waits in a slot: a request of the sequence was cancelled. That includes what came under the same id
    /// with another START, as in Triton.
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

    /// When nothing more comes, a sequence without requests has ended. True once there is nothing left for the instance.
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

    /// Wakes instances that wait until a test's requests have collected: what one waits for may have come to another, or
    /// to the backlog.
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

    /// Whether any sequence is there at all, so that somebody has to look after it.
    pub(super) fn any_sequence(&self) -> bool {
        self.free.len() < self.instances.iter().map(|instance| instance.slots.len()).sum()
    }
}
