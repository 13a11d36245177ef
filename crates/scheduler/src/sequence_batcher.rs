//! The sequence batcher: requests of a sequence go to one instance, one after the other.
//!
//! A sequence has a slot of an instance from its START to its END; sequences that find no slot wait in the backlog.
//! [`slots`] keeps the state of the sequences as requests arrive, are taken and are done; [`direct`] and [`oldest`]
//! choose the next batch. This file has the lock, the clock and the waiting threads.

mod arrival;
mod backlog;
mod clock;
mod controls;
mod direct;
mod idle;
mod lost;
mod oldest;
mod policy;
mod rows;
mod sink;
mod slots;
mod states;
mod unfinished;

use std::sync::{Arc, Weak};
use std::time::Instant;

use hippocamp_backend::{Batch, CorrelationId, Error, Request};
use hippocamp_metrics::SizeHistogram;
use parking_lot::{Condvar, Mutex, MutexGuard};
use smallvec::SmallVec;

use crate::clock::{self as calls, Timed};
use crate::ordered::Ordered;
use crate::parked_instances::ParkedInstances;
use crate::queue::{IDLE_TIME, Pulled, Puller};
use crate::thread_cache;
use clock::Clock;
use direct::{Next, Row};
pub use policy::SequencePolicy;
use policy::Strategy;
use rows::Zeros;
use slots::{Refused, Sequences, SlotAt};

/// Accepts requests from I/O tasks and gives them to the instance threads of their sequences.
#[derive(Debug)]
pub(crate) struct SequenceBatcher {
    shared: Arc<Shared>,
}

/// The state that is shared by the batcher, the requests in flight and the clock, which ends idle sequences.
#[derive(Debug)]
struct Shared {
    policy: Arc<SequencePolicy>,
    state: Mutex<State>,
    /// One for each instance: a request concerns only the instance of its sequence.
    work: Vec<Condvar>,
    /// The instances that have no thread.
    parked_instances: ParkedInstances,
    zeros: Zeros,
    /// One for each instance if ordering is preserved, otherwise empty.
    ordered: Vec<Ordered>,
    clock: Clock,
}

#[derive(Debug)]
struct State {
    sequences: Sequences,
    /// When the clock calls next to end idle sequences; `None` if there are no sequences.
    reaps_at: Option<Instant>,
    /// The instances that have no thread.
    parked: Vec<usize>,
    /// Instances that are to look after themselves.
    called: Vec<usize>,
    depths: SizeHistogram,
}

impl SequenceBatcher {
    pub(crate) fn new(policy: SequencePolicy, instances: usize) -> SequenceBatcher {
        SequenceBatcher { shared: Arc::new(Shared::new(policy, instances, Clock::System)) }
    }

    /// Queues the request and returns at once. A request that its sequence cannot accept is returned with the error.
    pub(crate) fn push(&self, request: Request) -> Result<(), Box<(Request, Error)>> {
        let mut state = self.shared.state.lock();
        let depth = state.sequences.waiting;
        let pushed = state.sequences.push(request, self.shared.clock.now());
        if pushed.is_ok() {
            state.depths.observe(depth as u64);
        }
        let call = self.shared.next_call(&mut state);
        self.shared.settle(state);
        if let Some(at) = call {
            let shared: Weak<Shared> = Arc::downgrade(&self.shared);
            calls::call_at(at, shared);
        }
        pushed
    }

    /// Waits for the next batch of an instance, or what else it waits for, and fills `batch`, which is empty.
    pub(crate) fn pull(&self, puller: Puller, batch: &mut Batch) -> Pulled {
        match self.await_batch(puller) {
            (state, Pulled::Batch(count)) => {
                self.take(state, puller.instance, Some(count), batch);
                Pulled::Batch(())
            }
            (state, end) => {
                self.shared.settle(state);
                end.without_batch()
            }
        }
    }

    /// As [`pull`](SequenceBatcher::pull), but waits only until that instance could pull a batch, without pulling it.
    pub(crate) fn wait(&self, puller: Puller) -> Pulled {
        let (state, found) = self.await_batch(puller);
        self.shared.settle(state);
        found.without_batch()
    }

    /// Whether a new instance parks at once, because there is nothing to do for it.
    pub(crate) fn parks(&self, instance: usize) -> bool {
        let mut state = self.shared.state.lock();
        let next = state.sequences.look(instance, self.shared.clock.now());
        let parks = matches!(next, Next::Wait(None));
        if parks {
            state.parked.push(instance);
        }
        self.shared.settle(state);
        parks
    }

    /// Where its instances park.
    pub(crate) fn parked_instances(&self) -> &ParkedInstances {
        &self.shared.parked_instances
    }

    /// Fills `batch`, which is empty, if there is a batch for that instance now.
    pub(crate) fn try_pull(&self, instance: usize, batch: &mut Batch) -> bool {
        let (state, count) = self.look(instance);
        self.take(state, instance, count, batch)
    }

    /// Whether there is a batch for that instance now.
    pub(crate) fn has_batch(&self, instance: usize) -> bool {
        let (state, count) = self.look(instance);
        self.shared.settle(state);
        count.is_some()
    }

    /// Returns the number of rows of the next batch, if there is one now.
    fn look(&self, instance: usize) -> (MutexGuard<'_, State>, Option<usize>) {
        let mut state = self.shared.state.lock();
        match state.sequences.look(instance, self.shared.clock.now()) {
            Next::Execute(count) => (state, Some(count)),
            Next::Wait(_) | Next::End => (state, None),
        }
    }

    fn take(
        &self,
        mut state: MutexGuard<'_, State>,
        instance: usize,
        count: Option<usize>,
        batch: &mut Batch,
    ) -> bool {
        let mut rows = Vec::new();
        if let Some(count) = count {
            state.sequences.take_batch(instance, count, &mut rows, self.shared.clock.now());
        }
        self.shared.settle(state);
        rows::fill(&self.shared, &mut rows, batch);
        count.is_some()
    }

    /// Waits for a batch for an instance and returns its number of rows.
    fn await_batch(&self, puller: Puller) -> (MutexGuard<'_, State>, Pulled<usize>) {
        let (instance, shared) = (puller.instance, &self.shared);
        let may_park = puller.parks && puller.until.is_none();
        let mut state = shared.state.lock();
        let mut was_idle = false;
        loop {
            if let Some(place) = state.called.iter().position(|called| *called == instance) {
                state.called.swap_remove(place);
                return (state, Pulled::Called);
            }
            let until = match state.sequences.look(instance, shared.clock.now()) {
                Next::Execute(count) => return (state, Pulled::Batch(count)),
                Next::End => return (state, Pulled::Closed),
                Next::Wait(until) => until,
            };
            state.sequences.woken.retain(|woken| *woken != instance);
            if !state.sequences.woken.is_empty() || !state.sequences.refused.is_empty() {
                shared.settle(state);
                state = shared.state.lock();
                continue;
            }
            let work = &shared.work[instance];
            if puller.until.is_some_and(|until| shared.clock.now() >= until) {
                return (state, Pulled::Called);
            }
            match until.into_iter().chain(puller.until).min() {
                Some(until) => drop(work.wait_until(&mut state, until)),
                None if was_idle => {
                    state.parked.push(instance);
                    return (state, Pulled::Parks);
                }
                None if may_park => was_idle = work.wait_for(&mut state, IDLE_TIME).timed_out(),
                None => work.wait(&mut state),
            }
        }
    }

    /// Queues requests again that the backend left in its batch to be executed once more.
    pub(crate) fn executed(&self, batch: &mut Batch) {
        let mut again = Vec::new();
        for mut request in batch.drain(..) {
            if request.take_reschedule() && !request.is_null() {
                request.queue_again(self.shared.clock.now());
                again.push(request);
            }
        }
        if !again.is_empty() {
            let mut state = self.shared.state.lock();
            let now = self.shared.clock.now();
            for request in again {
                state.sequences.reschedule(request, now);
            }
            self.shared.settle(state);
        }
    }

    /// Has an instance look after itself, whether there is work or not.
    pub(crate) fn call(&self, instance: usize) {
        let mut state = self.shared.state.lock();
        if !state.called.contains(&instance) {
            state.called.push(instance);
        }
        state.sequences.woken.push(instance);
        self.shared.settle(state);
    }

    /// An instance failed and will be recreated.
    pub(crate) fn instance_lost(&self, instance: usize) {
        let mut state = self.shared.state.lock();
        state.sequences.instance_lost(instance, self.shared.clock.now());
        self.shared.settle(state);
    }

    /// Whether that sequence may get further requests.
    pub(crate) fn has_sequence(&self, id: &CorrelationId) -> bool {
        self.shared.state.lock().sequences.active.contains_key(id)
    }

    /// Whether any sequence may get further requests.
    pub(crate) fn has_sequences(&self) -> bool {
        !self.shared.state.lock().sequences.active.is_empty()
    }

    /// How many requests wait.
    pub(crate) fn pending(&self) -> usize {
        self.shared.state.lock().sequences.waiting
    }

    /// A histogram of the queue length that each new request found.
    pub(crate) fn depths(&self) -> SizeHistogram {
        self.shared.state.lock().depths.clone()
    }

    /// Accepts no more requests. Instances end once they have executed the waiting ones.
    pub(crate) fn close(&self) {
        let mut state = self.shared.state.lock();
        state.sequences.closed = true;
        state.sequences.wake_all();
        self.shared.settle(state);
    }
}

impl Shared {
    fn new(policy: SequencePolicy, instances: usize, clock: Clock) -> Shared {
        let ordered = (0..instances).filter(|_| policy.preserve_ordering).map(|_| Ordered::default());
        let ordered = ordered.collect();
        let sequences = Sequences::new(policy, instances);
        Shared {
            policy: Arc::clone(&sequences.policy),
            state: Mutex::new(State {
                sequences,
                reaps_at: None,
                parked: Vec::new(),
                called: Vec::new(),
                depths: SizeHistogram::default(),
            }),
            work: (0..instances).map(|_| Condvar::new()).collect(),
            parked_instances: ParkedInstances::default(),
            zeros: Zeros::default(),
            ordered,
            clock,
        }
    }

    /// Releases the lock, wakes the instances that have work, and answers the refused requests. The lock has to be free
    /// because answering may take it.
    fn settle(&self, state: MutexGuard<'_, State>) {
        answer(self.wake(state));
    }

    /// Releases the lock and wakes the instances that have work. Returns the refused requests.
    fn wake(&self, mut state: MutexGuard<'_, State>) -> Vec<Refused> {
        let woken = std::mem::take(&mut state.sequences.woken);
        let refused = std::mem::take(&mut state.sequences.refused);
        state.sequences.waiting -= refused.len();
        let mut parked: SmallVec<[usize; 4]> = SmallVec::new();
        if !state.parked.is_empty() {
            parked.extend(woken.iter().copied().filter(|instance| state.parked.contains(instance)));
            state.parked.retain(|instance| !parked.contains(instance));
        }
        drop(state);
        for instance in woken {
            self.work[instance].notify_one();
        }
        for instance in parked {
            self.parked_instances.unpark(instance);
        }
        refused
    }

    /// When the clock has to call, if it does not do so before.
    fn next_call(&self, state: &mut State) -> Option<Instant> {
        if !self.clock.is_system() {
            return None;
        }
        let expiry = state.sequences.backlog.next_expiry();
        let next = match state.reaps_at {
            None if !state.sequences.any_sequence() => None,
            None => Some(state.sequences.looks_at(self.clock.now(), expiry)),
            Some(planned) => expiry.filter(|expiry| *expiry < planned),
        }?;
        state.reaps_at = Some(next);
        Some(next)
    }

    /// Marks the request of that slot as done.
    fn complete(&self, at: SlotAt, serial: u64) {
        let mut state = self.state.lock();
        state.sequences.complete(at, serial, self.clock.now());
        self.settle(state);
    }
}

impl Timed for Shared {
    /// Ends idle sequences.
    fn called(&self, at: Instant) -> Option<Instant> {
        let mut state = self.state.lock();
        if state.reaps_at != Some(at) {
            // An earlier call was asked for meanwhile.
            return None;
        }
        // What ends makes room for others, which may have to end as well.
        let next = loop {
            let next = state.sequences.reap(self.clock.now());
            if state.sequences.woken.is_empty() && state.sequences.refused.is_empty() {
                break next.filter(|_| !state.sequences.closed);
            }
            let refused = self.wake(state);
            if !refused.is_empty() {
                // Whoever receives the answers must not stop the clock.
                thread_cache::run_or_wait("timeouts".into(), move || answer(refused));
            }
            state = self.state.lock();
        };
        state.reaps_at = next;
        next
    }
}

/// Answers requests that were refused, without the lock.
fn answer(refused: Vec<Refused>) {
    for (request, error, reason) in refused {
        request.fail(error, reason);
    }
}

impl Sequences {
    /// Returns what an instance does next. Requests of a batch stay in their slots.
    fn look(&mut self, instance: usize, now: Instant) -> Next {
        let policy = Arc::clone(&self.policy);
        match &policy.strategy {
            Strategy::Direct { minimum_slot_utilization, max_queue_delay } => {
                self.look_direct(instance, *minimum_slot_utilization, *max_queue_delay, now)
            }
            Strategy::Oldest { preferred, max_queue_delay } => {
                self.look_oldest(instance, preferred, *max_queue_delay, now)
            }
        }
    }

    /// Takes the batch of `count` rows that was found under the same lock.
    fn take_batch(&mut self, instance: usize, count: usize, rows: &mut Vec<Row>, now: Instant) {
        if self.is_oldest() {
            self.take_oldest(instance, count, rows);
        } else {
            self.take_direct(instance, count, rows, now);
        }
        self.waiting -= rows.iter().flatten().count();
    }
}

#[cfg(test)]
mod tests;
