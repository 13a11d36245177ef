//! The request queue of a model version.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use hippocamp_backend::{Batch, Request};
use hippocamp_metrics::SizeHistogram;
use hippocamp_model_config::{Interface, ModelConfig};
use hippocamp_proto::inference::model_config::SchedulingChoice;
use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::watch;

use crate::clock::{self, Timed};
use crate::crew::Crew;
use crate::ordered::Ordered;
use crate::policy::BatchPolicy;
use crate::queue_policy::QueuePolicies;
use crate::thread_cache;
use crate::thread_number::thread_number;
use crate::waiting::{Dropped, Look, Taken, Waiting};

/// The settings of a queue, made once when the model is loaded.
#[derive(Clone, Debug)]
pub struct QueueSettings {
    pub batching: BatchPolicy,
    pub policies: QueuePolicies,
    /// Responses leave in the order in which their requests were taken for execution.
    pub preserve_ordering: bool,
    /// Test hook: no request is executed before this many wait. 0 switches the hook off.
    pub hold: usize,
}

impl QueueSettings {
    /// The settings that a config gives. `hold` applies to the dynamic batcher only.
    pub fn from_config(config: &ModelConfig, interface: &Arc<Interface>, hold: usize) -> QueueSettings {
        let Some(SchedulingChoice::DynamicBatching(batching)) = &config.scheduling_choice else {
            return QueueSettings::single();
        };
        QueueSettings {
            batching: BatchPolicy::from_config(batching, interface),
            policies: QueuePolicies::from_config(batching),
            preserve_ordering: batching.preserve_ordering,
            hold,
        }
    }

    /// The default scheduler: one request after the other, and no limits.
    pub fn single() -> QueueSettings {
        QueueSettings {
            batching: BatchPolicy::single(),
            policies: QueuePolicies::default(),
            preserve_ordering: false,
            hold: 0,
        }
    }
}

/// Requests that wait for an instance. I/O tasks push and instance threads pull under one short lock.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    /// How many requests wait, and [`CLOSED`]: written under the lock, read without it.
    level: Level,
    /// Signals instances that there may be work.
    work: Condvar,
    /// The instances that have no thread.
    crew: Crew,
    /// The owner of the queue, which the clock calls for deadlines.
    owner: OnceLock<Weak<dyn Timed>>,
    ordered: Option<Ordered>,
    /// Every request is executed alone and none is held back.
    alone: bool,
    /// From this many waiting batch entries on, an instance is woken at once.
    full: usize,
}

/// On cache lines of its own: threads that execute inline only read it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Level(AtomicUsize);

/// Added to the level of a closed queue.
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

/// The result of [`Queue::take_next`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Taken,
    Nothing,
    /// The next request was refused and stays in the queue.
    Refused,
}

/// The result of waiting for a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pulled<T = ()> {
    Batch(T),
    /// There was nothing to do for a while. The instance has to [park](Crew::park) now: it may have been called already.
    Parks,
    /// The queue is closed, and there is nothing left for the instance.
    Closed,
}

impl<T> Pulled<T> {
    pub(crate) fn without_batch(self) -> Pulled {
        match self {
            Pulled::Batch(_) => Pulled::Batch(()),
            Pulled::Parks => Pulled::Parks,
            Pulled::Closed => Pulled::Closed,
        }
    }
}

/// How long an instance that could park keeps its thread while there is nothing to do.
pub(crate) const LINGERS: Duration = Duration::from_millis(500);

/// Who is to be woken when the lock is released.
#[must_use]
#[derive(Clone, Copy, Debug)]
enum Call {
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
    /// Instances that have no thread, in the order in which they parked.
    parked: Vec<usize>,
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
    fn call(&mut self) -> Call {
        if self.asleep > 0 || self.filling.is_some() {
            return Call::Sleeper;
        }
        self.parked.pop().map_or(Call::Nobody, Call::Parked)
    }

    /// As [`call`](State::call), if requests wait.
    fn call_for_work(&mut self) -> Call {
        if self.waiting.is_empty() { Call::Nobody } else { self.call() }
    }

    /// When the clock has to call, if it does not do so before.
    fn next_call(&mut self) -> Option<Instant> {
        let due = self.waiting.next_deadline()?;
        if self.called_at.is_some_and(|planned| planned <= due) {
            return None;
        }
        self.called_at = Some(due);
        Some(due)
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
        let waiting = Waiting::new(batching, policies, hold);
        let state = State {
            waiting,
            closed: false,
            filling: None,
            asleep: 0,
            parked: Vec::new(),
            called_at: None,
            deferring: 0,
            alive: None,
            barred: false,
            depths: SizeHistogram::default(),
        };
        Queue {
            state: Mutex::new(state),
            level: Level::default(),
            work: Condvar::new(),
            crew: Crew::default(),
            owner: OnceLock::new(),
            ordered: preserve_ordering.then(Ordered::default),
            alone,
            full,
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
        let call = state.call_for_work();
        drop(state);
        self.work.notify_all();
        self.make(call);
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
        let call = if wakes_now { state.call() } else { Call::Nobody };
        let due = if is_first_due { state.next_call() } else { None };
        self.show_level(&state);
        drop(state);
        self.make(call);
        self.await_deadline(due);
        dropped.answer();
        Ok(wake_is_due)
    }

    /// Wakes an instance for the requests that were queued with a deferred wake, by whatever thread.
    pub(crate) fn wake_instance(&self) {
        let mut state = self.state.lock();
        state.deferring = 0;
        let call = state.call_for_work();
        drop(state);
        self.make(call);
    }

    /// Has an instance's own thread execute what waits, or end.
    pub(crate) fn call_instance(&self) {
        let mut state = self.state.lock();
        let call = if state.closed { state.call() } else { state.call_for_work() };
        drop(state);
        self.make(call);
    }

    fn make(&self, call: Call) {
        match call {
            Call::Nobody => {}
            Call::Sleeper => drop(self.work.notify_one()),
            Call::Parked(instance) => self.crew.call(instance),
        }
    }

    /// Where instances of this queue park.
    pub(crate) fn crew(&self) -> &Crew {
        &self.crew
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

    /// Has `owner` called by the clock when a request is due. `alive` is dropped when the queue is closed and empty, and
    /// all that were late are answered.
    pub(crate) fn owned_by(&self, owner: Weak<dyn Timed>, alive: watch::Sender<()>) {
        let first = self.owner.set(owner).is_ok();
        debug_assert!(first, "a queue has one owner");
        self.state.lock().alive = Some(alive);
    }

    fn await_deadline(&self, due: Option<Instant>) {
        if let (Some(due), Some(owner)) = (due, self.owner.get()) {
            clock::call_at(due, Weak::clone(owner));
        }
    }

    /// Shows the level to threads that do not take the lock.
    fn show_level(&self, state: &State) {
        let closed = if state.closed { CLOSED } else { 0 };
        self.level.0.store(state.waiting.len() | closed, Ordering::Release);
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
        self.level.0.load(Ordering::Acquire) != 0
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.level.0.load(Ordering::Acquire) & CLOSED != 0
    }

    /// How many requests wait.
    pub fn len(&self) -> usize {
        self.level.0.load(Ordering::Acquire) & !CLOSED
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
        self.show_level(&state);
        let parked = std::mem::take(&mut state.parked);
        drop(state);
        self.work.notify_all();
        for instance in parked {
            self.crew.call(instance);
        }
    }

    /// Fills `batch`, which is empty, with the next batch, waiting for it as long as it takes. Requests whose client is
    /// gone, or that waited too long, are answered on the way. False once the queue is closed and empty.
    pub fn pull(&self, batch: &mut Batch) -> bool {
        self.pull_with(None, batch, || Some(())) != Pulled::Closed
    }

    /// As [`pull`](Queue::pull), for the instance of that index, if it may park.
    pub(crate) fn pull_or_park(&self, instance: Option<usize>, batch: &mut Batch) -> Pulled {
        self.pull_with(instance, batch, || Some(()))
    }

    /// As [`pull_or_park`](Queue::pull_or_park), for an instance that others may hold: it takes a batch only if `acquire`
    /// succeeds, and sleeps otherwise. `acquire` is called under the lock. Whoever lets go of the instance after a failure of
    /// `acquire` has to look whether [it is needed](Queue::needs_instance), and to [call](Queue::call_instance) it then.
    // A step of a request of its own, which `scripts/bench instructions` counts.
    #[inline(never)]
    pub(crate) fn pull_with<T>(
        &self,
        instance: Option<usize>,
        batch: &mut Batch,
        acquire: impl FnMut() -> Option<T>,
    ) -> Pulled<T> {
        match self.await_batch(instance, acquire) {
            Pulled::Batch(found) => Pulled::Batch(self.take(found, batch)),
            Pulled::Parks => Pulled::Parks,
            Pulled::Closed => Pulled::Closed,
        }
    }

    /// Fills `batch`, which is empty, with the next batch if there is one now and its first request is accepted. For a
    /// thread that holds an instance: it does not wake others for what remains.
    pub(crate) fn take_next(&self, batch: &mut Batch, accepts: impl FnOnce(&Request) -> bool) -> Next {
        let mut taken = Taken::new();
        let (mut state, count, mut dropped) = self.look();
        let next = match count {
            None => Next::Nothing,
            Some(_) if !state.waiting.found().is_some_and(accepts) => Next::Refused,
            Some(count) => {
                state.waiting.take(count, &mut taken);
                self.show_level(&state);
                Next::Taken
            }
        };
        drop(state);
        unpack(taken, batch);
        dropped.answer();
        next
    }

    /// Waits until a batch could be pulled, and leaves it in the queue. `instance` is its index if it may park.
    pub(crate) fn wait(&self, instance: Option<usize>) -> Pulled {
        match self.await_batch(instance, || Some(())) {
            Pulled::Batch(Found { state, mut dropped, .. }) => {
                drop(state);
                dropped.answer();
                Pulled::Batch(())
            }
            Pulled::Parks => Pulled::Parks,
            Pulled::Closed => Pulled::Closed,
        }
    }

    /// Fills `batch`, which is empty, if there is a batch now.
    pub(crate) fn try_pull(&self, batch: &mut Batch) -> bool {
        let (state, count, mut dropped) = self.look();
        let Some(count) = count else {
            drop(state);
            dropped.answer();
            return false;
        };
        self.take(Found { state, count, dropped, held: () }, batch);
        true
    }

    /// Whether there is a batch now.
    pub(crate) fn has_batch(&self) -> bool {
        let (state, count, mut dropped) = self.look();
        drop(state);
        dropped.answer();
        count.is_some()
    }

    /// Wakes another instance for the batch that this one was woken for and cannot execute yet.
    pub(crate) fn pass_on(&self) {
        let call = self.state.lock().call_for_work();
        self.make(call);
    }

    /// Looks once whether there is a batch: of how many requests.
    fn look(&self) -> (MutexGuard<'_, State>, Option<usize>, Dropped) {
        let mut dropped = Dropped::default();
        let mut state = self.state.lock();
        let count = match self.look_at(&mut state, &mut dropped) {
            Look::Batch(count) if !state.barred => Some(count),
            _ => None,
        };
        (state, count, dropped)
    }

    fn look_at(&self, state: &mut State, dropped: &mut Dropped) -> Look {
        let (closed, held) = (state.closed, state.waiting.holds());
        let look = state.waiting.look(Instant::now(), closed, dropped);
        if !dropped.is_empty() {
            self.show_level(state);
        }
        if held && !state.waiting.holds() {
            let due = state.next_call();
            self.await_deadline(due);
        }
        look
    }

    /// Waits for a batch, and for `acquire` to succeed. `instance` is its index if it may park.
    #[inline]
    fn await_batch<T>(
        &self,
        instance: Option<usize>,
        mut acquire: impl FnMut() -> Option<T>,
    ) -> Pulled<Found<'_, T>> {
        let mut dropped = Dropped::default();
        let mut state = self.state.lock();
        let mut lingered = false;
        loop {
            if state.barred {
                self.sleep(&mut state, None);
                continue;
            }
            match self.look_at(&mut state, &mut dropped) {
                Look::Batch(count) => match acquire() {
                    Some(held) => return Pulled::Batch(Found { state, count, dropped, held }),
                    None => drop(self.sleep(&mut state, None)),
                },
                // The other instances may be asleep.
                Look::Nothing if state.closed => {
                    let alive = state.alive.take();
                    drop(state);
                    drop(alive);
                    self.work.notify_all();
                    dropped.answer();
                    return Pulled::Closed;
                }
                _ if !dropped.is_empty() => MutexGuard::unlocked(&mut state, || dropped.answer()),
                Look::Nothing => match instance {
                    Some(instance) if lingered => {
                        state.parked.push(instance);
                        return Pulled::Parks;
                    }
                    _ => lingered = self.sleep(&mut state, instance.map(|_| LINGERS)),
                },
                Look::Incomplete(_) if state.filling.is_some() => drop(self.sleep(&mut state, None)),
                Look::Incomplete(incomplete) => {
                    state.filling = Some(incomplete.enough);
                    self.work.wait_until(&mut state, incomplete.until);
                    state.filling = None;
                }
            }
        }
    }

    /// Takes the batch that was found.
    #[inline]
    fn take<T>(&self, found: Found<'_, T>, batch: &mut Batch) -> T {
        let Found { mut state, count, mut dropped, held } = found;
        let mut taken = Taken::new();
        state.waiting.take(count, &mut taken);
        self.show_level(&state);
        if let Some(ordered) = &self.ordered {
            ordered.admit(&mut taken);
        }
        // Another instance may wait for an incomplete batch, whose contents have changed now.
        if let Some(enough) = &mut state.filling {
            *enough = 0;
        }
        let call = state.call_for_work();
        drop(state);
        self.make(call);
        unpack(taken, batch);
        dropped.answer();
        held
    }

    /// Sleeps until there may be work. Returns true if nobody woke it for so long.
    fn sleep(&self, state: &mut MutexGuard<'_, State>, longest: Option<Duration>) -> bool {
        state.asleep += 1;
        let mut has_slept = false;
        if let Some(longest) = longest {
            has_slept = self.work.wait_for(state, longest).timed_out();
        } else {
            self.work.wait(state);
        }
        state.asleep -= 1;
        has_slept
    }

    /// Rejects or delays requests whose deadline has passed, even while every instance is busy. `at` is the time for
    /// which the clock was asked to call. Returns when it has to call again.
    pub(crate) fn called(&self, at: Instant) -> Option<Instant> {
        let mut dropped = Dropped::default();
        let mut state = self.state.lock();
        if state.called_at != Some(at) {
            // An earlier call was asked for meanwhile, and has found what is due.
            return None;
        }
        // In their new order the requests may form a batch that an instance waits for.
        let reordered = state.waiting.expire(Instant::now(), &mut dropped);
        let next = state.waiting.next_deadline();
        state.called_at = next;
        self.show_level(&state);
        let wakes = if reordered { state.call() } else { Call::Nobody };
        let alive = state.alive.clone();
        drop(state);
        self.make(wakes);
        if !dropped.is_empty() {
            // Instances that wait for the end of a closed queue.
            self.work.notify_all();
            // Whoever receives the answers must not stop the clock.
            thread_cache::run_surely("timeouts".into(), move || {
                dropped.answer();
                drop(alive);
            });
        }
        next
    }
}

/// Requests are moved to the batch without the lock: they are large, and were last written by other cores.
#[inline]
fn unpack(taken: Taken, batch: &mut Batch) {
    batch.extend(taken.into_iter().map(|request| *request));
}

/// A batch that was found in the queue and not taken yet.
struct Found<'a, T> {
    state: MutexGuard<'a, State>,
    /// Of how many requests.
    count: usize,
    dropped: Dropped,
    held: T,
}

impl Timed for Queue {
    fn called(&self, at: Instant) -> Option<Instant> {
        Queue::called(self, at)
    }
}

#[cfg(test)]
mod tests;
