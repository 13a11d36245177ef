//! The request queue of a model version.

use std::sync::Arc;
use std::time::Instant;

use hippocamp_backend::{Batch, Request};
use hippocamp_metrics::SizeHistogram;
use hippocamp_model_config::{Interface, ModelConfig};
use hippocamp_proto::inference::model_config::SchedulingChoice;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::ordered::Ordered;
use crate::policy::BatchPolicy;
use crate::queue_policy::QueuePolicies;
use crate::waiting::{Dropped, Look, Waiting};

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
    /// Signals instances that there may be work.
    work: Condvar,
    /// Signals the timekeeper that there may be an earlier deadline than the one it waits for.
    earlier: Condvar,
    ordered: Option<Ordered>,
    keeps_time: bool,
    /// Every request is executed alone and none is held back.
    alone: bool,
    /// From this many waiting batch entries on, an instance is woken at once.
    full: usize,
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
    /// A caller that queued a request has a deferred wake to perform.
    wake_is_deferred: bool,
    /// No batch may be pulled until the previous queue has drained.
    barred: bool,
    /// How many requests each new one found waiting.
    depths: SizeHistogram,
}

impl Queue {
    pub fn new(settings: QueueSettings) -> Queue {
        let QueueSettings { batching, policies, preserve_ordering, hold } = settings;
        let keeps_time = policies.have_timeouts();
        let alone = batching.is_alone() && hold == 0;
        let full = batching.full();
        let waiting = Waiting::new(batching, policies, hold);
        let state = State {
            waiting,
            closed: false,
            filling: None,
            asleep: 0,
            wake_is_deferred: false,
            barred: false,
            depths: SizeHistogram::default(),
        };
        Queue {
            state: Mutex::new(state),
            work: Condvar::new(),
            earlier: Condvar::new(),
            ordered: preserve_ordering.then(Ordered::default),
            keeps_time,
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
        let barred = std::mem::take(&mut self.state.lock().barred);
        if barred {
            self.work.notify_all();
        }
    }

    /// Queues the request and returns at once. The response is sent through the request's own sender by an instance
    /// thread, or by this call if the queue is full. If the queue is closed, the request is returned.
    pub fn push(&self, request: Request) -> Result<(), Box<Request>> {
        if self.push_deferring_wake(request)? {
            self.wake_instance();
        }
        Ok(())
    }

    /// As [`push`](Queue::push), but returns whether the caller must [wake an instance](Queue::wake_instance). If so,
    /// an idle instance could execute the request; the caller may queue further requests for the same batch before it
    /// wakes the instance, but has to wake it soon and on every path.
    pub(crate) fn push_deferring_wake(&self, request: Request) -> Result<bool, Box<Request>> {
        let mut dropped = Dropped::default();
        let mut state = self.state.lock();
        if state.closed {
            return Err(Box::new(request));
        }
        let depth = state.waiting.len();
        state.depths.observe(depth as u64);
        let is_first_due = state.waiting.push(request, &mut dropped);
        let is_wanted = state.filling.is_some_and(|enough| state.waiting.size() >= enough);
        let is_full = state.waiting.size() >= self.full;
        let is_work = is_wanted || is_full || !dropped.is_empty();
        let wake_is_due = !is_work && state.filling.is_none() && state.asleep > 0 && !state.wake_is_deferred;
        state.wake_is_deferred |= wake_is_due;
        drop(state);
        if is_work {
            self.work.notify_one();
        }
        if is_first_due {
            self.earlier.notify_one();
        }
        dropped.answer();
        Ok(wake_is_due)
    }

    /// Wakes an instance for the requests that were queued with a deferred wake.
    pub(crate) fn wake_instance(&self) {
        let mut state = self.state.lock();
        state.wake_is_deferred = false;
        let is_work = !state.waiting.is_empty();
        drop(state);
        if is_work {
            self.work.notify_one();
        }
    }

    /// Whether requests may bypass the queue when an instance is idle: each is executed alone, and responses need no
    /// order.
    pub(crate) fn can_be_passed(&self) -> bool {
        self.ordered.is_none() && self.alone
    }

    /// Counts a request that bypasses the queue. Returns false, and counts nothing, if the queue is closed or not
    /// empty.
    pub(crate) fn pass(&self) -> bool {
        let mut state = self.state.lock();
        let passes = state.waiting.is_empty() && !state.closed;
        if passes {
            state.depths.observe(0);
        }
        passes
    }

    /// How many requests wait.
    pub fn len(&self) -> usize {
        self.state.lock().waiting.len()
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
        self.state.lock().closed = true;
        self.work.notify_all();
        self.earlier.notify_all();
    }

    /// Fills `batch`, which is empty, with the next batch, waiting for it as long as it takes. Requests whose client is
    /// gone, or that waited too long, are answered on the way. False once the queue is closed and empty.
    // A step of a request of its own, which `scripts/bench instructions` counts.
    #[inline(never)]
    pub fn pull(&self, batch: &mut Batch) -> bool {
        let Some((state, count, dropped)) = self.await_batch() else { return false };
        self.take(state, count, dropped, batch);
        true
    }

    /// Waits until a batch could be pulled, and leaves it in the queue. False once the queue is closed and empty.
    pub(crate) fn wait(&self) -> bool {
        let Some((state, _, mut dropped)) = self.await_batch() else { return false };
        drop(state);
        dropped.answer();
        true
    }

    /// Fills `batch`, which is empty, if there is a batch now.
    pub(crate) fn try_pull(&self, batch: &mut Batch) -> bool {
        let (state, count, mut dropped) = self.look();
        let Some(count) = count else {
            drop(state);
            dropped.answer();
            return false;
        };
        self.take(state, count, dropped, batch);
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
        self.work.notify_one();
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
        if held && !state.waiting.holds() {
            self.earlier.notify_one();
        }
        look
    }

    /// Waits for a batch and returns its number of requests. `None` once the queue is closed and empty.
    #[inline]
    fn await_batch(&self) -> Option<(MutexGuard<'_, State>, usize, Dropped)> {
        let mut dropped = Dropped::default();
        let mut state = self.state.lock();
        loop {
            if state.barred {
                self.sleep(&mut state);
                continue;
            }
            match self.look_at(&mut state, &mut dropped) {
                Look::Batch(count) => return Some((state, count, dropped)),
                // The other instances may be asleep, and the timekeeper has to end.
                Look::Nothing if state.closed => {
                    drop(state);
                    self.work.notify_all();
                    self.earlier.notify_all();
                    dropped.answer();
                    return None;
                }
                _ if !dropped.is_empty() => MutexGuard::unlocked(&mut state, || dropped.answer()),
                Look::Nothing => self.sleep(&mut state),
                Look::Incomplete(_) if state.filling.is_some() => self.sleep(&mut state),
                Look::Incomplete(incomplete) => {
                    state.filling = Some(incomplete.enough);
                    self.work.wait_until(&mut state, incomplete.until);
                    state.filling = None;
                }
            }
        }
    }

    /// Takes the batch that was found under the same lock.
    #[inline]
    fn take(&self, mut state: MutexGuard<'_, State>, count: usize, mut dropped: Dropped, batch: &mut Batch) {
        state.waiting.take(count, batch);
        if let Some(ordered) = &self.ordered {
            ordered.admit(batch);
        }
        // Another instance may wait for an incomplete batch, whose contents have changed now.
        if let Some(enough) = &mut state.filling {
            *enough = 0;
        }
        let others_wait = !state.waiting.is_empty();
        drop(state);
        if others_wait {
            self.work.notify_one();
        }
        dropped.answer();
    }

    fn sleep(&self, state: &mut MutexGuard<'_, State>) {
        state.asleep += 1;
        self.work.wait(state);
        state.asleep -= 1;
    }

    /// Whether requests may have deadlines, so that a thread has to run [`keep_time`](Queue::keep_time).
    pub(crate) fn needs_timekeeper(&self) -> bool {
        self.keeps_time
    }

    /// Rejects or delays requests whose deadline has passed, even while every instance is busy. Returns once the queue
    /// is closed and empty. It sleeps until the earliest deadline and is woken for an earlier one only.
    pub(crate) fn keep_time(&self) {
        let mut dropped = Dropped::default();
        let mut state = self.state.lock();
        while !(state.closed && state.waiting.is_empty()) {
            let due = state.waiting.next_deadline();
            match due {
                None => self.earlier.wait(&mut state),
                Some(due) if due > Instant::now() => drop(self.earlier.wait_until(&mut state, due)),
                Some(_) if state.waiting.expire(Instant::now(), &mut dropped) => {
                    // In their new order the requests may form a batch that an instance waits for.
                    self.work.notify_one();
                }
                Some(_) => {}
            }
            if !dropped.is_empty() {
                MutexGuard::unlocked(&mut state, || dropped.answer());
                // Instances that wait for the end of a closed queue.
                self.work.notify_all();
            }
        }
    }
}

#[cfg(test)]
mod tests;
