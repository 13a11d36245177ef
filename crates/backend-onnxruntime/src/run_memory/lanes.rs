//! Which run has which lane.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many runs have a lane at once. Further ones use the program's allocator.
pub(crate) const LANES: usize = u64::BITS as usize;

/// The lanes that runs have.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    /// A bit for each that is taken.
    taken: AtomicU64,
}

thread_local! {
    /// The lane of the run of this thread; [`LANES`] for none.
    static LANE: Cell<usize> = const { Cell::new(LANES) };
}

/// A run of this thread, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Running<'a> {
    lanes: &'a Lanes,
    lane: usize,
}

impl Lanes {
    /// Begins a run on this thread, in the lowest free lane.
    pub(crate) fn begin(&self) -> Running<'_> {
        let mut taken = self.taken.load(Ordering::Relaxed);
        let lane = loop {
            let lane = taken.trailing_ones() as usize;
            if lane == LANES {
                break lane;
            }
            let with = taken | 1 << lane;
            // Acquires what the last run did in the lane.
            match self.taken.compare_exchange_weak(taken, with, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => break lane,
                Err(now) => taken = now,
            }
        };
        LANE.set(lane);
        Running { lanes: self, lane }
    }

    /// The lane of the run of this thread, if there is one.
    pub(crate) fn of_this_thread() -> Option<usize> {
        Some(LANE.get()).filter(|lane| *lane < LANES)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        LANE.set(LANES);
        if self.lane < LANES {
            self.lanes.taken.fetch_and(!(1 << self.lane), Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_the_lowest_free_lane() {
        let lanes = Lanes::default();
        assert_eq!(Lanes::of_this_thread(), None);
        let first = lanes.begin();
        assert_eq!(Lanes::of_this_thread(), Some(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!(Lanes::of_this_thread(), None);
                let second = lanes.begin();
                assert_eq!(Lanes::of_this_thread(), Some(1));
                drop(second);
            });
        });
        drop(first);
        assert_eq!(Lanes::of_this_thread(), None);
        assert_eq!(lanes.taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn there_may_be_more_runs_than_lanes() {
        let lanes = Lanes { taken: AtomicU64::new(!(1 << 5)) };
        let last = lanes.begin();
        assert_eq!(Lanes::of_this_thread(), Some(5));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let none = lanes.begin();
                assert_eq!(Lanes::of_this_thread(), None);
                drop(none);
            });
        });
        assert_eq!(lanes.taken.load(Ordering::Relaxed), u64::MAX);
        drop(last);
        assert_eq!(lanes.taken.load(Ordering::Relaxed), !(1 << 5));
    }
}
