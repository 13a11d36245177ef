//! The deadlines of waiting requests, earliest first. Only the order is kept here: `waiting.rs` rejects a request whose
//! deadline has passed.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Instant;

use super::slots::Handle;
use super::steps::Steps;

/// Deadlines of requests. A deadline whose request has left the queue is removed when it comes first, or when such
/// deadlines outnumber the waiting requests.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    /// Deadlines that were added in ascending order: all of them if every request has the same timeout.
    in_order: VecDeque<(Instant, Handle)>,
    /// Deadlines that are earlier than one that was added before them.
    others: BinaryHeap<Reverse<(Instant, Handle)>>,
}

/// How many more deadlines than twice the waiting requests are kept before a clean-up, so that small queues are not
/// cleaned up all the time.
const SLACK: usize = 64;

impl Deadlines {
    pub(super) fn is_empty(&self) -> bool {
        self.in_order.is_empty() && self.others.is_empty()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.in_order.len() + self.others.len()
    }

    /// Adds a deadline; `waiting` is the number of queued requests. Returns whether the deadline is now the earliest.
    pub(super) fn add(
        &mut self,
        at: Instant,
        handle: Handle,
        waiting: usize,
        is_there: impl Fn(Handle) -> bool,
        steps: &mut Steps,
    ) -> bool {
        if self.in_order.len() + self.others.len() > 2 * waiting + SLACK {
            steps.count(self.in_order.len() + self.others.len());
            self.in_order.retain(|(_, handle)| is_there(*handle));
            self.others.retain(|Reverse((_, handle))| is_there(*handle));
        }
        let first = self.first();
        steps.count(1);
        if self.in_order.back().is_none_or(|(last, _)| *last <= at) {
            self.in_order.push_back((at, handle));
        } else {
            steps.count(self.others.len().checked_ilog2().unwrap_or(0) as usize);
            self.others.push(Reverse((at, handle)));
        }
        first.is_none_or(|first| at < first)
    }

    /// The earliest deadline, even if its request has left the queue.
    fn first(&self) -> Option<Instant> {
        let in_order = self.in_order.front().map(|(at, _)| *at);
        let other = self.others.peek().map(|Reverse((at, _))| *at);
        in_order.into_iter().chain(other).min()
    }

    /// The earliest deadline whose request is still queued.
    pub(super) fn next(&mut self, is_there: impl Fn(Handle) -> bool, steps: &mut Steps) -> Option<Instant> {
        while self.in_order.front().is_some_and(|(_, handle)| !is_there(*handle)) {
            steps.count(1);
            self.in_order.pop_front();
        }
        while self.others.peek().is_some_and(|Reverse((_, handle))| !is_there(*handle)) {
            steps.count(1 + self.others.len().ilog2() as usize);
            self.others.pop();
        }
        self.first()
    }

    /// Removes the earliest deadline if it has passed. Its request may have left the queue.
    pub(super) fn pop_due(&mut self, now: Instant, steps: &mut Steps) -> Option<Handle> {
        if self.first()? > now {
            return None;
        }
        steps.count(1);
        let in_order = self.in_order.front().copied();
        let other = self.others.peek().map(|Reverse(other)| *other);
        let take_in_order = match (in_order, other) {
            (Some(in_order), Some(other)) => in_order <= other,
            (in_order, _) => in_order.is_some(),
        };
        if take_in_order {
            return self.in_order.pop_front().map(|(_, handle)| handle);
        }
        steps.count(self.others.len().checked_ilog2().unwrap_or(0) as usize);
        self.others.pop().map(|Reverse((_, handle))| handle)
    }
}
