//! The deadlines of waiting requests, for which the clock calls the queue: busy instances cannot look.

use std::sync::Weak;
use std::time::Instant;

use tokio::sync::watch;

use super::{Queue, State, WakeTarget};
use crate::clock::{self, Timed};
use crate::thread_cache;
use crate::waiting::Dropped;

impl State {
    /// When the clock has to call, if it does not do so before.
    pub(super) fn next_call(&mut self) -> Option<Instant> {
        let due = self.waiting.next_deadline()?;
        if self.called_at.is_some_and(|planned| planned <= due) {
            return None;
        }
        self.called_at = Some(due);
        Some(due)
    }
}

impl Queue {
    /// Has `owner` called by the clock when a request is due. `alive` is dropped when the queue is closed and empty, and
    /// all that were late are answered.
    pub(crate) fn owned_by(&self, owner: Weak<dyn Timed>, alive: watch::Sender<()>) {
        let first = self.owner.set(owner).is_ok();
        debug_assert!(first, "a queue has one owner");
        self.state.lock().alive = Some(alive);
    }

    pub(super) fn await_deadline(&self, due: Option<Instant>) {
        if let (Some(due), Some(owner)) = (due, self.owner.get()) {
            clock::call_at(due, Weak::clone(owner));
        }
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
        self.publish_len(&state);
        let target = if reordered { state.wake_target() } else { WakeTarget::Nobody };
        let alive = state.alive.clone();
        drop(state);
        self.wake(target);
        if !dropped.is_empty() {
            // Instances that wait for the end of a closed queue.
            self.work.notify_all();
            // Whoever receives the answers must not stop the clock.
            thread_cache::run_or_wait("timeouts".into(), move || {
                dropped.answer();
                drop(alive);
            });
        }
        next
    }
}

impl Timed for Queue {
    fn called(&self, at: Instant) -> Option<Instant> {
        Queue::called(self, at)
    }
}
