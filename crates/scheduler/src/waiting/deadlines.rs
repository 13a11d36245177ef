//! Which request's time is up first.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Instant;

use super::slots::Handle;
use super::steps::Steps;

/// Deadlines of requests. One whose request is gone is dropped when it is met, or once there are more of those than of
/// the others.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    /// Those that came in their own order: all of them where every request has the same timeout.
    in_order: VecDeque<(Instant, Handle)>,
    /// Those that are earlier than one that came before.
    others: BinaryHeap<Reverse<(Instant, Handle)>>,
}

/// More deadlines than requests are kept by so much, that small queues are not looked through all the time.
const SLACK: usize = 64;

impl Deadlines {
    pub(super) fn is_empty(&self) -> bool {
        self.in_order.is_empty() && self.others.is_empty()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.in_order.len() + self.others.len()
    }

    /// Adds a deadline; `waiting` requests are there in all. Returns whether it is the first of all now.
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

    /// The first of all, whether its request is there or not.
    fn first(&self) -> Option<Instant> {
        let in_order = self.in_order.front().map(|(at, _)| *at);
        let other = self.others.peek().map(|Reverse((at, _))| *at);
        in_order.into_iter().chain(other).min()
    }

    /// The first of those whose requests are there.
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

    /// Takes out a deadline that is over, the first of them first. Its request may be gone.
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
