//! The requests that wait for an instance, and the order in which they are executed.
//!
//! This module neither locks nor reads a clock: its owner holds the lock and passes the time. The work for a request
//! does not grow with the number of waiting requests: only the batch that is being formed and a few requests of a full
//! queue are scanned.

mod deadlines;
mod levels;
mod slots;
mod steps;

use std::time::Instant;

use hippocamp_backend::{Error, FailureReason, Request};
use smallvec::SmallVec;

use crate::policy::{BatchPolicy, Decision, Incomplete};
use crate::queue_policy::{Overdue, QueuePolicies};
use deadlines::Deadlines;
use levels::{Level, Levels};
use slots::{Handle, Slots};
use steps::Steps;

/// How many requests of a full queue are scanned for a cancelled one.
const LOOKED_AT_WHEN_FULL: usize = 64;

#[derive(Debug)]
pub(crate) struct Waiting {
    batching: BatchPolicy,
    policies: QueuePolicies,
    levels: Levels,
    slots: Slots,
    deadlines: Deadlines,
    /// Batch entries of all requests together.
    size: usize,
    /// The requests of the batch that is being formed. The vector's memory is reused for the next batch.
    fitting: Vec<Place>,
    /// Test hook: no request is executed before this many have been queued.
    hold: usize,
    steps: Steps,
}

/// The result of a search for the next batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// A batch of this many requests is ready.
    Batch(usize),
    /// No request waits, or none may be executed yet.
    Nothing,
    /// The waiting requests do not fill a batch yet.
    Incomplete(Incomplete),
}

/// Why a request is removed from the queue without being executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Cancelled,
    Late,
    Full,
}

/// The requests of a batch on their way out of the queue.
pub(crate) type Taken = SmallVec<[Box<Request>; 32]>;

/// Requests that were removed from the queue without being executed. They are answered once its lock is released.
#[derive(Debug, Default)]
pub(crate) struct Dropped(Vec<(Box<Request>, Why)>);

impl Dropped {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Answers every removed request with its error.
    pub(crate) fn answer(&mut self) {
        for (request, why) in self.0.drain(..) {
            match why {
                Why::Cancelled => cancelled(*request),
                Why::Late => {
                    request.fail(Error::unavailable("Request timeout expired"), FailureReason::Rejected);
                }
                Why::Full => {
                    let text = format!("[request id: {}] Exceeds maximum queue size", request.shown_id());
                    request.fail(Error::unavailable(text), FailureReason::Rejected);
                }
            }
        }
    }
}

/// Fails a request that its client cancelled. No client receives the error, but the failure is counted.
pub(crate) fn cancelled(request: Request) {
    request.fail(Error::cancelled("the client cancelled the request"), FailureReason::Canceled);
}

/// The position of a request: its priority level, and which of the level's two lists it is in.
#[derive(Clone, Copy, Debug)]
struct Place {
    level: u64,
    late: bool,
    handle: Handle,
}

impl Waiting {
    pub(crate) fn new(batching: BatchPolicy, policies: QueuePolicies, hold: usize) -> Waiting {
        Waiting {
            batching,
            policies,
            levels: Levels::default(),
            slots: Slots::default(),
            deadlines: Deadlines::default(),
            size: 0,
            fitting: Vec::new(),
            hold,
            steps: Steps::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Batch entries of all requests together.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Queues a request, or rejects it if its level is full. Returns whether its deadline is now the earliest.
    #[inline]
    pub(crate) fn push(&mut self, request: Box<Request>, dropped: &mut Dropped) -> bool {
        let priority = self.policies.level(&request);
        if !self.has_room(priority, dropped) {
            dropped.0.push((request, Why::Full));
            return false;
        }
        let deadline = self.deadline(priority, &request);
        self.size += request.batch_size.max(1);
        let handle = self.slots.push(&mut self.levels.make(priority).in_time, priority, request);
        deadline.is_some_and(|deadline| self.add_deadline(deadline, handle))
    }

    #[inline]
    fn has_room(&mut self, priority: u64, dropped: &mut Dropped) -> bool {
        let max = self.policies.of(priority).max_queue_size;
        max.is_none_or(|max| self.level_len(priority) < max || self.make_room(priority, dropped))
    }

    #[inline]
    fn deadline(&self, priority: u64, request: &Request) -> Option<Instant> {
        request.queued.checked_add(self.policies.of(priority).timeout(request)?)
    }

    fn add_deadline(&mut self, deadline: Instant, handle: Handle) -> bool {
        let is_there = |handle| self.slots.get(handle).is_some();
        self.deadlines.add(deadline, handle, self.slots.len(), is_there, &mut self.steps)
    }

    fn level_len(&self, priority: u64) -> usize {
        self.levels.get(priority).map_or(0, Level::len)
    }

    /// Removes one cancelled request from a full level, if it finds one. Each call resumes the scan where the last one
    /// stopped, so that every cancelled request is found soon while the work per call stays bounded.
    #[cold]
    fn make_room(&mut self, priority: u64, dropped: &mut Dropped) -> bool {
        let Some(level) = self.levels.get_mut(priority) else { return false };
        let count = level.len().min(LOOKED_AT_WHEN_FULL);
        let mut next = level.looked_at.take().filter(|place| self.slots.get(place.handle).is_some());
        let mut found = None;
        for _ in 0..count {
            let Some(place) = next.or_else(|| self.first_from(priority)) else { break };
            self.steps.count(1);
            next = self.after(place).filter(|next| next.level == priority);
            if self.slots.get(place.handle).is_some_and(Request::is_cancelled) {
                found = Some(place);
                break;
            }
        }
        if let Some(level) = self.levels.get_mut(priority) {
            level.looked_at = next;
        }
        found.map(|place| self.drop_request(place, Why::Cancelled, dropped)).is_some()
    }

    /// Finds the next batch and leaves it in the queue. Cancelled and expired requests that it meets are removed.
    #[inline]
    pub(crate) fn look(&mut self, now: Instant, closing: bool, dropped: &mut Dropped) -> Look {
        if self.is_held(closing) {
            return Look::Nothing;
        }
        self.expire(now, dropped);
        let Some(begin) = self.next_live(None, dropped) else { return Look::Nothing };
        let Some(first) = self.slots.get(begin.handle) else { return Look::Nothing };
        let mut forming = self.batching.begin(first);
        let strategy = self.batching.strategy.clone();
        let mut growing = strategy.as_deref().map(|strategy| strategy.begin(first));
        self.fitting.clear();
        self.fitting.push(begin);
        let mut last = begin;
        while !forming.is_complete() {
            let Some(place) = self.next_live(Some(last), dropped) else { break };
            if let (Some(first), Some(next)) = (self.slots.get(begin.handle), self.slots.get(place.handle)) {
                let without = forming;
                if forming.offer(&self.batching, first, next) {
                    // Only what fits is shown to it: it counts what it has admitted.
                    if growing.as_mut().is_some_and(|batch| !batch.admits(next)) {
                        forming = without;
                        forming.close();
                    } else {
                        self.fitting.push(place);
                    }
                }
            }
            last = place;
        }
        match forming.decide(&self.batching, now, closing) {
            Decision::Wait(incomplete) => Look::Incomplete(incomplete),
            Decision::Take(count) => Look::Batch(count),
        }
    }

    /// The first request of the batch that the last search found.
    pub(crate) fn found(&self) -> Option<&Request> {
        self.slots.get(self.fitting.first()?.handle)
    }

    /// Whether the test hook still holds back all requests.
    pub(crate) fn holds(&self) -> bool {
        self.hold > 0
    }

    fn is_held(&mut self, closing: bool) -> bool {
        if self.hold > 0 && !closing && self.len() < self.hold {
            return true;
        }
        self.hold = 0;
        false
    }

    /// Moves the `count` requests of the batch that the last search found to `taken`. The queue must not have changed
    /// since that search.
    #[inline]
    pub(crate) fn take(&mut self, count: usize, taken: &mut Taken) {
        let fitting = std::mem::take(&mut self.fitting);
        for &place in fitting.iter().take(count) {
            self.steps.count(1);
            taken.extend(self.remove(place));
        }
        self.fitting = fitting;
    }

    /// The first request behind `after`, or of the whole queue, that is not cancelled. Cancelled requests before it are
    /// removed.
    fn next_live(&mut self, after: Option<Place>, dropped: &mut Dropped) -> Option<Place> {
        let mut next = match after {
            Some(place) => self.after(place),
            None => self.first_from(0),
        };
        while let Some(place) = next {
            self.steps.count(1);
            if !self.slots.get(place.handle).is_some_and(Request::is_cancelled) {
                break;
            }
            next = self.after(place);
            self.drop_request(place, Why::Cancelled, dropped);
        }
        next
    }

    fn after(&self, place: Place) -> Option<Place> {
        if let Some(handle) = self.slots.next(place.handle) {
            return Some(Place { handle, ..place });
        }
        let late = &self.levels.get(place.level)?.late;
        match self.slots.first(late).filter(|_| !place.late) {
            Some(handle) => Some(Place { late: true, handle, ..place }),
            None => self.first_from(place.level.checked_add(1)?),
        }
    }

    /// The first request of this level or, if the level is empty, of the next lower priority.
    fn first_from(&self, level: u64) -> Option<Place> {
        self.levels.find(level, |level, lists| {
            let in_time = self.slots.first(&lists.in_time).map(|handle| Place { level, late: false, handle });
            in_time
                .or_else(|| self.slots.first(&lists.late).map(|handle| Place { level, late: true, handle }))
        })
    }

    #[inline]
    fn remove(&mut self, place: Place) -> Option<Box<Request>> {
        let level = self.levels.get_mut(place.level)?;
        let list = if place.late { &mut level.late } else { &mut level.in_time };
        let request = self.slots.remove(list, place.handle);
        if level.len() == 0 {
            self.levels.forget(place.level);
        }
        self.size -= request.as_ref().map_or(0, |request| request.batch_size.max(1));
        request
    }

    fn drop_request(&mut self, place: Place, why: Why, dropped: &mut Dropped) {
        dropped.0.extend(self.remove(place).map(|request| (request, why)));
    }

    /// Rejects the requests whose deadline has passed, or moves them behind the others of their level, as the level's
    /// policy says. Returns whether the order of the remaining requests changed.
    pub(crate) fn expire(&mut self, now: Instant, dropped: &mut Dropped) -> bool {
        let mut reordered = false;
        if self.deadlines.is_empty() {
            return reordered;
        }
        while let Some(handle) = self.deadlines.pop_due(now, &mut self.steps) {
            let Some(level) = self.slots.level(handle) else { continue };
            match (self.policies.of(level).overdue, self.levels.get_mut(level)) {
                (Overdue::Delay, Some(lists)) => {
                    if let Some(request) = self.slots.remove(&mut lists.in_time, handle) {
                        self.slots.push(&mut lists.late, level, request);
                        reordered = true;
                    }
                }
                _ => self.drop_request(Place { level, late: false, handle }, Why::Late, dropped),
            }
        }
        reordered
    }

    /// The earliest deadline of a waiting request. `None` without deadlines, or while the test hook holds back all
    /// requests.
    pub(crate) fn next_deadline(&mut self) -> Option<Instant> {
        if self.deadlines.is_empty() || self.hold > 0 {
            return None;
        }
        self.deadlines.next(|handle| self.slots.get(handle).is_some(), &mut self.steps)
    }
}

#[cfg(test)]
mod tests;
