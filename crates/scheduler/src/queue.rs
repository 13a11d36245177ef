//! The request queue of a model version: what waits, and how requests are pushed.

mod deadlines;
mod pull;
mod settings;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{OnceLock, Weak};
use std::time::{Duration, Instant};

use hippocamp_backend::Request;
use hippocamp_metrics::SizeHistogram;
use hippocamp_per_thread::thread_number;
use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

pub(crate) use pull::{IDLE_TIME, Next, Pulled, Puller};
pub use settings::QueueSettings;

use crate::clock::Timed;
use crate::ordered::Ordered;
use crate::parked_instances::ParkedInstances;
use crate::waiting::{Dropped, Waiting};

/// Requests that wait for an instance. I/O tasks push and instance threads pull under one short lock.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    /// How many requests wait, and [`CLOSED`]: written under the lock, read without it.
    len: SharedLen,
    /// Signals instances that there may be work.
    work: Condvar,
    /// Signals that the queue was closed.
    closing: Condvar,
    /// The instances that have no thread.
    parked_instances: ParkedInstances,
    /// The owner of the queue, which the clock calls for deadlines.
    owner: OnceLock<Weak<dyn Timed>>,
    ordered: Option<Ordered>,
    /// Every request is executed alone and none is held back.
    alone: bool,
    /// From this many waiting batch entries on, an instance is woken at once.
    full: usize,
    /// From this many on, a [second instance](crate::second_instance) takes a batch, too; `None` if there cannot be one.
    enough_for_two: Option<usize>,
    /// Signals a second instance that there is enough.
    second: Condvar,
}

/// The part of a full batch that has to wait for a second instance to take a batch.
const PART_FOR_SECOND: usize = 4;

/// On cache lines of its own: threads that execute inline only read it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct SharedLen(AtomicUsize);

/// Added to the length of a closed queue.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// Who sees to it that a request which is queued gets an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wake {
    /// The push wakes one.
    Now,
    /// The caller does, soon, if an instance could begin with an incomplete batch.
    Deferred,
    /// The caller does, or whoever holds an instance.
    Holder,
}

/// Who is to be woken when the lock is released.
#[must_use]
#[derive(Clone, Copy, Debug)]
enum WakeTarget {
    Nobody,
    Sleeper,
    Parked(usize),
}

#[derive(Debug)]
struct State {
    waiting: Waiting,
    /// No more requests are accepted; the waiting ones are still executed.
    closed: bool,
    /// Set while an instance waits for an incomplete batch to fill: the number of waiting batch entries at which it is
    /// woken. Other instances sleep until they are notified.
    filling: Option<usize>,
    /// Instances that wait for work.
    asleep: usize,
    /// Second instances that wait until there is enough for them.
    seconds_asleep: usize,
    /// Instances that have no thread, in the order in which they parked.
    parked: Vec<usize>,
    /// Instances that are to look after themselves.
    called: Vec<usize>,
    /// When the clock calls next for a deadline.
    called_at: Option<Instant>,
    /// The threads that have a deferred wake to perform, a bit for each.
    deferring: u64,
    /// Tells those who wait for the end that there are requests to answer.
    alive: Option<watch::Sender<()>>,
    /// No batch may be pulled until the previous queue has drained.
    barred: bool,
    /// How many requests each new one found waiting.
    depths: SizeHistogram,
}

impl State {
    /// Chooses an instance that looks for work. Those that are awake look anyway.
    fn wake_target(&mut self) -> WakeTarget {
        if self.asleep > 0 || self.filling.is_some() {
            return WakeTarget::Sleeper;
        }
        self.parked.pop().map_or(WakeTarget::Nobody, WakeTarget::Parked)
    }

    /// As [`wake_target`](State::wake_target), if requests wait.
    fn wake_target_for_work(&mut self) -> WakeTarget {
        if self.waiting.is_empty() { WakeTarget::Nobody } else { self.wake_target() }
    }

    /// Whether that instance was called since it was asked last.
    #[inline]
    fn is_called(&mut self, instance: usize) -> bool {
        !self.called.is_empty() && self.takes_call(instance)
    }

    #[cold]
    fn takes_call(&mut self, instance: usize) -> bool {
        let place = self.called.iter().position(|called| *called == instance);
        place.map(|place| self.called.swap_remove(place)).is_some()
    }

    /// Notes that the calling thread has a deferred wake to perform. False if it has one already.
    fn defers(&mut self) -> bool {
        let bit = 1 << (thread_number() % u64::BITS as usize);
        let is_new = self.deferring & bit == 0;
        self.deferring |= bit;
        is_new
    }
}

impl Queue {
    pub fn new(settings: QueueSettings) -> Queue {
        let QueueSettings { batching, policies, preserve_ordering, hold } = settings;
        let alone = batching.is_alone() && hold == 0;
        let full = batching.full();
        let may_be_shared = !alone && !preserve_ordering && hold == 0 && batching.is_plain();
        let enough_for_two = may_be_shared.then(|| (full / PART_FOR_SECOND).max(2));
        let waiting = Waiting::new(batching, policies, hold);
        let state = State {
            waiting,
            closed: false,
            filling: None,
            asleep: 0,
            seconds_asleep: 0,
            parked: Vec::new(),
            called: Vec::new(),
            called_at: None,
            deferring: 0,
            alive: None,
            barred: false,
            depths: SizeHistogram::default(),
        };
        Queue {
            state: Mutex::new(state),
            len: SharedLen::default(),
            work: Condvar::new(),
            closing: Condvar::new(),
            parked_instances: ParkedInstances::default(),
            owner: OnceLock::new(),
            ordered: preserve_ordering.then(Ordered::default),
            alone,
            full,
            enough_for_two,
            second: Condvar::new(),
        }
    }

    /// A queue whose responses are sent after those of `before`, if both preserve ordering.
    pub(crate) fn following(settings: QueueSettings, before: &Queue) -> Queue {
        let mut queue = Queue::new(settings);
        if let (Some(ordered), Some(before)) = (&mut queue.ordered, &before.ordered) {
            *ordered = before.clone();
        }
        queue
    }

    /// Blocks pulls until [`open`](Queue::open) is called, if both queues preserve ordering: `before`, the previous
    /// queue, has to drain first.
    pub(crate) fn bar_behind(&self, before: &Queue) {
        self.state.lock().barred = self.ordered.is_some() && before.ordered.is_some();
    }

    pub(crate) fn open(&self) {
        let mut state = self.state.lock();
        if !std::mem::take(&mut state.barred) {
            return;
        }
        let target = state.wake_target_for_work();
        drop(state);
        self.work.notify_all();
        self.wake(target);
    }

    /// Queues the request and returns at once. The response is sent through the request's own sender by an instance
    /// thread, or by this call if the queue is full. If the queue is closed, the request is returned.
    pub fn push(&self, request: Request) -> Result<(), Box<Request>> {
        self.push_and(Wake::Now, request).map(drop)
    }

    /// As [`push`](Queue::push), but returns whether the caller must [wake an instance](Queue::wake_instance). If so,
    /// an idle instance could execute the request; the caller may queue further requests for the same batch before it
    /// wakes the instance, but has to wake it soon and on every path. Each thread wakes for its own requests, so that
    /// none depends on how soon another one does.
    pub(crate) fn push_deferring_wake(&self, request: Request) -> Result<bool, Box<Request>> {
        self.push_and(Wake::Deferred, request)
    }

    /// As [`push`](Queue::push), for a caller that sees to it that somebody who holds an instance takes the request.
    pub(crate) fn push_for_holder(&self, request: Request) -> Result<(), Box<Request>> {
        self.push_and(Wake::Holder, request).map(drop)
    }

    fn push_and(&self, wake: Wake, request: Request) -> Result<bool, Box<Request>> {
        let mut dropped = Dropped::default();
        let request = Box::new(request);
        let mut state = self.state.lock();
        if state.closed {
            return Err(request);
        }
        let depth = state.waiting.len();
        state.depths.observe(depth as u64);
        let is_first_due = state.waiting.push(request, &mut dropped);
        let is_wanted = state.filling.is_some_and(|enough| state.waiting.size() >= enough);
        let is_full = state.waiting.size() >= self.full;
        // Somebody sleeps who would begin with what waits, even if it is incomplete.
        let begins = state.filling.is_none() && (state.asleep > 0 || !state.parked.is_empty());
        let wakes_now = is_wanted
            || !dropped.is_empty()
            || match wake {
                Wake::Now => is_full || begins,
                Wake::Deferred => is_full,
                Wake::Holder => false,
            };
        let wake_is_due = wake == Wake::Deferred && !wakes_now && begins && state.defers();
        let target = if wakes_now { state.wake_target() } else { WakeTarget::Nobody };
        let due = if is_first_due { state.next_call() } else { None };
        let calls_second = state.seconds_asleep > 0 && self.suffices_for_two(state.waiting.size());
        self.publish_len(&state);
        drop(state);
        if calls_second {
            self.second.notify_one();
        }
        self.wake(target);
        self.await_deadline(due);
        dropped.answer();
        Ok(wake_is_due)
    }

    /// Wakes an instance for the requests that were queued with a deferred wake, by whatever thread.
    pub(crate) fn wake_instance(&self) {
        let mut state = self.state.lock();
        state.deferring = 0;
        let target = state.wake_target_for_work();
        drop(state);
        self.wake(target);
    }

    /// Has an instance's own thread execute what waits, or end.
    pub(crate) fn call_instance(&self) {
        let mut state = self.state.lock();
        let target = if state.closed { state.wake_target() } else { state.wake_target_for_work() };
        drop(state);
        self.wake(target);
    }

    /// Has an instance look after itself, whether there is work or not.
    pub(crate) fn call(&self, instance: usize) {
        let mut state = self.state.lock();
        if !state.called.contains(&instance) {
            state.called.push(instance);
        }
        let is_parked = state.parked.contains(&instance);
        state.parked.retain(|parked| *parked != instance);
        drop(state);
        self.work.notify_all();
        if is_parked {
            self.parked_instances.unpark(instance);
        }
    }

    fn wake(&self, target: WakeTarget) {
        match target {
            WakeTarget::Nobody => {}
            WakeTarget::Sleeper => drop(self.work.notify_one()),
            WakeTarget::Parked(instance) => self.parked_instances.unpark(instance),
        }
    }

    /// Where instances of this queue park.
    pub(crate) fn parked_instances(&self) -> &ParkedInstances {
        &self.parked_instances
    }

    /// Whether the instance parks at once, because there is nothing to do.
    pub(crate) fn parks(&self, instance: usize) -> bool {
        let mut state = self.state.lock();
        let parks = !state.closed && state.waiting.is_empty();
        if parks {
            state.parked.push(instance);
        }
        parks
    }

    /// Publishes the length to threads that do not take the lock.
    fn publish_len(&self, state: &State) {
        let closed = if state.closed { CLOSED } else { 0 };
        self.len.0.store(state.waiting.len() | closed, Ordering::Release);
    }

    /// Whether a second instance may take batches beside the only one.
    pub(crate) fn may_be_shared(&self) -> bool {
        self.enough_for_two.is_some()
    }

    fn suffices_for_two(&self, waiting: usize) -> bool {
        self.enough_for_two.is_some_and(|enough| waiting >= enough)
    }

    /// Whether so many requests wait that a second instance would take some of them.
    pub(crate) fn has_enough_for_two(&self) -> bool {
        self.suffices_for_two(self.len())
    }

    /// Tells a second instance that it is over.
    pub(crate) fn end_second(&self, over: &AtomicBool) {
        // Under the lock, so that it either looks afterwards or is asleep already.
        let state = self.state.lock();
        over.store(true, Ordering::Relaxed);
        drop(state);
        self.second.notify_all();
    }

    /// Whether requests may bypass the queue when an instance is idle: each is executed alone, and responses need no
    /// order.
    pub(crate) fn can_be_passed(&self) -> bool {
        self.ordered.is_none() && self.alone
    }

    /// Whether a request may bypass the queue now: it is open and empty.
    pub(crate) fn pass(&self) -> bool {
        !self.needs_instance()
    }

    /// Whether there is anything for an instance to do: requests wait, or the queue is closed.
    pub(crate) fn needs_instance(&self) -> bool {
        self.len.0.load(Ordering::Acquire) != 0
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.len.0.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Delays the signal that the instances have ended. `None` if they have.
    pub(crate) fn alive(&self) -> Option<watch::Sender<()>> {
        self.state.lock().alive.clone()
    }

    /// How many requests wait.
    pub fn len(&self) -> usize {
        self.len.0.load(Ordering::Acquire) & !CLOSED
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many instances sleep until there is work.
    #[cfg(test)]
    pub(crate) fn asleep(&self) -> usize {
        self.state.lock().asleep
    }

    /// How many requests each new one found waiting.
    pub fn depths(&self) -> SizeHistogram {
        self.state.lock().depths.clone()
    }

    /// Lets the instances go once they have executed what waits.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        self.publish_len(&state);
        let parked = std::mem::take(&mut state.parked);
        drop(state);
        self.work.notify_all();
        self.closing.notify_all();
        self.second.notify_all();
        for instance in parked {
            self.parked_instances.unpark(instance);
        }
    }

    /// Waits until the queue is closed, for an instance that leaves what waits to others. Somebody else is woken for what this
    /// one may have been woken for.
    pub(crate) fn wait_until_closed(&self) {
        self.pass_on();
        let mut state = self.state.lock();
        while !state.closed {
            self.closing.wait(&mut state);
        }
    }

    /// As [`wait_until_closed`](Queue::wait_until_closed), for a limited time. Returns whether the queue is closed.
    pub(crate) fn wait_until_closed_for(&self, pause: Duration) -> bool {
        self.pass_on();
        let until = Instant::now() + pause;
        let mut state = self.state.lock();
        while !state.closed && !self.closing.wait_until(&mut state, until).timed_out() {}
        state.closed
    }

    /// Wakes another instance for the batch that this one was woken for and cannot execute yet.
    pub(crate) fn pass_on(&self) {
        let target = self.state.lock().wake_target_for_work();
        self.wake(target);
    }
}

#[cfg(test)]
mod tests;
