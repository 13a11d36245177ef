//! The sequence batcher: requests of a sequence go to one instance, one after the other.
//!
//! A sequence has a slot of an instance from its START to its END; sequences that find no slot wait in the backlog. What
//! it means that a request came, was taken, or is done, is in [`slots`]; which requests make the next batch, in
//! [`direct`] and [`oldest`]. This file has the lock, the clock, and the threads that wait.

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

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use hippocamp_backend::{Batch, CorrelationId, Error, Request, Result};
use hippocamp_metrics::SizeHistogram;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::ordered::Ordered;
use clock::Clock;
use direct::{Next, Row};
pub use policy::SequencePolicy;
use policy::Strategy;
use rows::Zeros;
use slots::{Sequences, SlotAt};

/// Takes requests from I/O tasks and hands them to instance threads, sequence by sequence.
#[derive(Debug)]
pub(crate) struct SequenceBatcher {
    shared: Arc<Shared>,
}

/// What the batcher, the requests under way and the thread that ends idle sequences have in common.
#[derive(Debug)]
struct Shared {
    policy: Arc<SequencePolicy>,
    state: Mutex<State>,
    /// One an instance: a request concerns only the instance that has its sequence.
    work: Vec<Condvar>,
    reaping: Condvar,
    zeros: Zeros,
    /// One an instance, where responses have to keep the order of their requests.
    ordered: Vec<Ordered>,
    clock: Clock,
}

#[derive(Debug)]
struct State {
    sequences: Sequences,
    /// When the reaper looks next; `None` if nothing is there to look after.
    reaps_at: Option<Instant>,
    depths: SizeHistogram,
}

impl SequenceBatcher {
    /// Starts a thread that ends idle sequences; it sleeps unless there are sequences.
    pub(crate) fn new(policy: SequencePolicy, instances: usize) -> Result<SequenceBatcher> {
        let shared = Arc::new(Shared::new(policy, instances, Clock::System));
        let reaper = Arc::clone(&shared);
        let model = &shared.policy.model;
        let started = thread::Builder::new().name(format!("{model} reaper")).spawn(move || reaper.reap());
        started.map_err(|e| {
            Error::unavailable(format!(
                "no thread could be started for the idle sequences of model '{model}': {e}"
            ))
            .with_source(e)
        })?;
        Ok(SequenceBatcher { shared })
    }

    /// Queues the request and returns at once. Gives it back with the reason if its sequence cannot have it.
    pub(crate) fn push(&self, request: Request) -> Result<(), Box<(Request, Error)>> {
        let mut state = self.shared.state.lock();
        let depth = state.sequences.waiting;
        let pushed = state.sequences.push(request, self.shared.clock.now());
        if pushed.is_ok() {
            state.depths.observe(depth as u64);
        }
        let next_expiry = state.sequences.backlog.next_expiry();
        let sooner = match (state.reaps_at, next_expiry) {
            (None, _) => state.sequences.any_sequence(),
            (Some(planned), expiry) => expiry.is_some_and(|expiry| expiry < planned),
        };
        self.shared.settle(state);
        if sooner {
            self.shared.reaping.notify_one();
        }
        pushed
    }

    /// Fills `batch`, which is empty, with the next batch for that instance, waiting for it as long as it takes. False
    /// once there will be none any more.
    pub(crate) fn pull(&self, instance: usize, batch: &mut Batch) -> bool {
        let (state, count) = self.await_batch(instance);
        self.take(state, instance, count, batch)
    }

    /// Waits until that instance could pull a batch, and leaves it. False once there will be none any more.
    pub(crate) fn wait(&self, instance: usize) -> bool {
        let (state, count) = self.await_batch(instance);
        self.shared.settle(state);
        count.is_some()
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

    /// Of how many rows the next batch is, if there is one now.
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

    /// Waits until there is a batch for that instance: of how many rows. `None` once there will be none any more.
    fn await_batch(&self, instance: usize) -> (MutexGuard<'_, State>, Option<usize>) {
        let shared = &self.shared;
        let mut state = shared.state.lock();
        loop {
            let until = match state.sequences.look(instance, shared.clock.now()) {
                Next::Execute(count) => return (state, Some(count)),
                Next::End => return (state, None),
                Next::Wait(until) => until,
            };
            state.sequences.woken.retain(|woken| *woken != instance);
            if !state.sequences.woken.is_empty() || !state.sequences.refused.is_empty() {
                shared.settle(state);
                state = shared.state.lock();
                continue;
            }
            match until {
                Some(until) => drop(shared.work[instance].wait_until(&mut state, until)),
                None => shared.work[instance].wait(&mut state),
            }
        }
    }

    /// Takes requests back that the backend left in its batch to have them once more.
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

    /// An instance failed and will be made anew.
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

    /// How many requests each new one found waiting.
    pub(crate) fn depths(&self) -> SizeHistogram {
        self.shared.state.lock().depths.clone()
    }

    /// Lets the instances go once they have executed what waits.
    pub(crate) fn close(&self) {
        let mut state = self.shared.state.lock();
        state.sequences.closed = true;
        state.sequences.wake_all();
        self.shared.settle(state);
        self.shared.reaping.notify_one();
    }
}

impl Shared {
    fn new(policy: SequencePolicy, instances: usize, clock: Clock) -> Shared {
        let ordered = (0..instances).filter(|_| policy.preserve_ordering).map(|_| Ordered::default());
        let ordered = ordered.collect();
        let sequences = Sequences::new(policy, instances);
        Shared {
            policy: Arc::clone(&sequences.policy),
            state: Mutex::new(State { sequences, reaps_at: None, depths: SizeHistogram::default() }),
            work: (0..instances).map(|_| Condvar::new()).collect(),
            reaping: Condvar::new(),
            zeros: Zeros::default(),
            ordered,
            clock,
        }
    }

    /// Gives the lock back, wakes who has to know, and answers what is not executed. An answer may take the lock.
    fn settle(&self, mut state: MutexGuard<'_, State>) {
        let woken = std::mem::take(&mut state.sequences.woken);
        let refused = std::mem::take(&mut state.sequences.refused);
        state.sequences.waiting -= refused.len();
        drop(state);
        for instance in woken {
            self.work[instance].notify_one();
        }
        for (request, error, reason) in refused {
            request.fail(error, reason);
        }
    }

    /// A request of that slot is done.
    fn complete(&self, at: SlotAt, serial: u64) {
        let mut state = self.state.lock();
        state.sequences.complete(at, serial, self.clock.now());
        self.settle(state);
    }

    /// The life of the thread that ends idle sequences, until the batcher closes.
    fn reap(&self) {
        let mut state = self.state.lock();
        while !state.sequences.closed {
            let next = state.sequences.reap(self.clock.now());
            if !state.sequences.woken.is_empty() || !state.sequences.refused.is_empty() {
                self.settle(state);
                state = self.state.lock();
                continue;
            }
            state.reaps_at = next;
            match next {
                Some(next) => drop(self.reaping.wait_until(&mut state, next)),
                None => self.reaping.wait(&mut state),
            }
        }
    }
}

impl Sequences {
    /// What comes next for an instance. A batch stays where it is.
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

    /// Takes the batch of `count` rows that an instance was told of under the same lock.
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
