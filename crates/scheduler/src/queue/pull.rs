//! How instances take batches out of the queue: they wait for one, look whether there is one, and park if there is none for
//! a while.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hippocamp_backend::{Batch, Request};
use parking_lot::MutexGuard;

use super::{Queue, State};
use crate::waiting::{Dropped, Look, Taken};

/// The result of [`Queue::take_next`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Taken,
    Nothing,
    /// The next request was refused and stays in the queue.
    Refused,
}

/// Which instance waits for a batch, and what else it waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Puller {
    /// Its index.
    pub(crate) instance: usize,
    /// It parks if there is nothing to do for a while.
    pub(crate) parks: bool,
    /// When it looks after itself at the latest: it is lost, and may be made anew then. It does not park meanwhile.
    pub(crate) until: Option<Instant>,
}

impl Puller {
    /// Whoever waits for nothing but a batch.
    pub(crate) const ANY: Puller = Puller { instance: usize::MAX, parks: false, until: None };

    /// For how long it sleeps at most.
    fn longest(&self) -> Option<Duration> {
        match self.until {
            Some(until) => Some(until.saturating_duration_since(Instant::now())),
            None => self.parks.then_some(IDLE_TIME),
        }
    }

    fn is_due(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}

/// The result of waiting for a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pulled<T = ()> {
    Batch(T),
    /// There was nothing to do for a while. The instance has to [park](crate::parked_instances::ParkedInstances::park) now: it may have been called already.
    Parks,
    /// The instance was called, or wanted to be, to look after itself. There may be a batch.
    Called,
    /// The queue is closed, and there is nothing left for the instance.
    Closed,
}

impl<T> Pulled<T> {
    pub(crate) fn without_batch(self) -> Pulled {
        match self {
            Pulled::Batch(_) => Pulled::Batch(()),
            Pulled::Parks => Pulled::Parks,
            Pulled::Called => Pulled::Called,
            Pulled::Closed => Pulled::Closed,
        }
    }
}

/// How long an instance that could park keeps its thread while there is nothing to do.
pub(crate) const IDLE_TIME: Duration = Duration::from_millis(500);

/// A batch that was found in the queue and not taken yet.
struct Found<'a, T> {
    state: MutexGuard<'a, State>,
    /// Of how many requests.
    count: usize,
    dropped: Dropped,
    held: T,
}

impl Queue {
    /// Fills `batch`, which is empty, with the next batch, waiting for it as long as it takes. Requests whose client is
    /// gone, or that waited too long, are answered on the way. False once the queue is closed and empty.
    pub fn pull(&self, batch: &mut Batch) -> bool {
        self.pull_with(Puller::ANY, batch, || Some(())) != Pulled::Closed
    }

    /// As [`pull`](Queue::pull), for an instance that may wait for something else, too.
    pub(crate) fn pull_for(&self, puller: Puller, batch: &mut Batch) -> Pulled {
        self.pull_with(puller, batch, || Some(()))
    }

    /// As [`pull_for`](Queue::pull_for), for an instance that others may hold: it takes a batch only if `acquire`
    /// succeeds, and sleeps otherwise. `acquire` is called under the lock. Whoever lets go of the instance after a failure of
    /// `acquire` has to look whether [it is needed](Queue::needs_instance), and to [call](Queue::call_instance) it then.
    // A step of a request of its own, which `scripts/bench instructions` counts.
    #[inline(never)]
    pub(crate) fn pull_with<T>(
        &self,
        puller: Puller,
        batch: &mut Batch,
        acquire: impl FnMut() -> Option<T>,
    ) -> Pulled<T> {
        match self.await_batch(puller, acquire) {
            Pulled::Batch(found) => Pulled::Batch(self.take(found, batch)),
            Pulled::Parks => Pulled::Parks,
            Pulled::Called => Pulled::Called,
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
                self.publish_len(&state);
                Next::Taken
            }
        };
        drop(state);
        unpack(taken, batch);
        dropped.answer();
        next
    }

    /// Waits until a batch could be pulled, and leaves it in the queue.
    pub(crate) fn wait(&self, puller: Puller) -> Pulled {
        match self.await_batch(puller, || Some(())) {
            Pulled::Batch(Found { state, mut dropped, .. }) => {
                drop(state);
                dropped.answer();
                Pulled::Batch(())
            }
            Pulled::Parks => Pulled::Parks,
            Pulled::Called => Pulled::Called,
            Pulled::Closed => Pulled::Closed,
        }
    }

    /// Fills `batch`, which is empty, with the next batch for a [second instance](crate::second_instance), waiting until there is
    /// enough for it. False once it is over, or the queue is closed.
    pub(crate) fn pull_second(&self, batch: &mut Batch, over: &AtomicBool) -> bool {
        let mut dropped = Dropped::default();
        let mut state = self.state.lock();
        loop {
            if state.closed || over.load(Ordering::Relaxed) {
                drop(state);
                dropped.answer();
                return false;
            }
            let is_enough = !state.barred && self.suffices_for_two(state.waiting.size());
            match is_enough.then(|| self.look_at(&mut state, &mut dropped)) {
                Some(Look::Batch(count)) => {
                    self.take(Found { state, count, dropped, held: () }, batch);
                    return true;
                }
                _ if !dropped.is_empty() => MutexGuard::unlocked(&mut state, || dropped.answer()),
                _ => {
                    state.seconds_asleep += 1;
                    self.second.wait(&mut state);
                    state.seconds_asleep -= 1;
                }
            }
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

    /// Fills `batch`, which is empty, if there is a full batch now that nobody else is about to take: for an instance that still
    /// executes the one before.
    pub(crate) fn pull_behind(&self, batch: &mut Batch) -> bool {
        let mut dropped = Dropped::default();
        let mut state = self.state.lock();
        let others = state.asleep > 0 || state.filling.is_some() || !state.parked.is_empty();
        if others || state.barred || state.waiting.size() < self.full {
            return false;
        }
        let look = self.look_at(&mut state, &mut dropped);
        let Look::Batch(count) = look else {
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
            self.publish_len(state);
        }
        if held && !state.waiting.holds() {
            let due = state.next_call();
            self.await_deadline(due);
        }
        look
    }

    /// Waits for a batch, and for `acquire` to succeed.
    #[inline]
    fn await_batch<T>(&self, puller: Puller, mut acquire: impl FnMut() -> Option<T>) -> Pulled<Found<'_, T>> {
        let mut dropped = Dropped::default();
        let mut state = self.state.lock();
        let mut was_idle = false;
        loop {
            if state.barred {
                self.sleep(&mut state, None);
                continue;
            }
            if state.is_called(puller.instance) {
                drop(state);
                dropped.answer();
                return Pulled::Called;
            }
            match self.look_at(&mut state, &mut dropped) {
                Look::Batch(count) => match acquire() {
                    Some(held) => return Pulled::Batch(Found { state, count, dropped, held }),
                    None if !dropped.is_empty() => MutexGuard::unlocked(&mut state, || dropped.answer()),
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
                Look::Nothing if puller.is_due() => return Pulled::Called,
                Look::Nothing if was_idle && puller.parks && puller.until.is_none() => {
                    state.parked.push(puller.instance);
                    return Pulled::Parks;
                }
                Look::Nothing => was_idle = self.sleep(&mut state, puller.longest()),
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
        self.publish_len(&state);
        if let Some(ordered) = &self.ordered {
            ordered.admit(&mut taken);
        }
        // Another instance may wait for an incomplete batch, whose contents have changed now.
        if let Some(enough) = &mut state.filling {
            *enough = 0;
        }
        let target = state.wake_target_for_work();
        drop(state);
        self.wake(target);
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
}

/// Requests are moved to the batch without the lock: they are large, and were last written by other cores.
#[inline]
fn unpack(taken: Taken, batch: &mut Batch) {
    batch.extend(taken.into_iter().map(|request| *request));
}
