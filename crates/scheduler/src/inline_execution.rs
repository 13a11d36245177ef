//! Inline execution: a request is executed by the thread that took it in, on an instance that is idle.
//!
//! A handoff to an instance's thread and back are two wake-ups, which cost more than a small model's execution. A request
//! that finds an instance idle and nobody waiting is therefore executed by the thread that took it in, as long as
//! executions are short: that thread has other connections to look after. Everything else goes through the queue.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hippocamp_backend::{MovableInstance, Request};
use parking_lot::{Mutex, MutexGuard};

/// Executions that have been taking longer are left to the instance's own thread. About what its wake-ups would cost.
const SHORT: Duration = Duration::from_micros(30);

/// How long an execution takes may depend on the size of its inputs: up to this many bytes all count as alike, and then up to
/// each four times as many.
const SMALL: usize = 64 << 10;

const SIZES: usize = 8;

/// An instance that its own thread shares with those that take requests in. Empty until it is made, and after a panic until
/// it is made anew.
#[derive(Default)]
pub(crate) struct SharedInstance {
    instance: Mutex<Option<MovableInstance>>,
    /// By the size of inputs.
    estimates: [LatencyEstimate; SIZES],
}

impl fmt::Debug for SharedInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedInstance").field("estimates", &self.estimates).finish_non_exhaustive()
    }
}

impl SharedInstance {
    /// For the instance's own thread: waits for whoever executes a request inline.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Option<MovableInstance>> {
        self.instance.lock()
    }

    /// For a thread that took in a request of that size: nothing, if the instance is busy, missing or slow.
    pub(crate) fn try_take(&self, size: Size) -> Option<MutexGuard<'_, Option<MovableInstance>>> {
        let idle = if self.estimates[size.0].is_short() { self.instance.try_lock() } else { None };
        idle.filter(|instance| instance.is_some())
    }

    /// Notes how long an execution of inputs of that size took that began then and ended now. Called by whoever executed,
    /// who still has the lock.
    pub(crate) fn observe(&self, size: Size, began: Option<Instant>) {
        if let Some(began) = began {
            self.estimates[size.0].observe(began.elapsed());
        }
    }
}

/// About how large the inputs of an execution are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(usize);

impl Size {
    pub(crate) fn of<'a>(requests: impl IntoIterator<Item = &'a Request>) -> Size {
        let inputs = requests.into_iter().flat_map(|request| request.inputs.iter().flatten());
        Size::of_bytes(inputs.map(|input| input.data.len()).sum())
    }

    fn of_bytes(bytes: usize) -> Size {
        let times = bytes.div_ceil(SMALL).max(1);
        let doubled = times.next_power_of_two().ilog2() as usize;
        Size(doubled.div_ceil(2).min(SIZES - 1))
    }
}

/// How long executions take, in nanoseconds: a moving average, of which the last one is an eighth. A single slow one is
/// mostly a thread that was interrupted. It counts as eight times as long as short ones may take at most, which keeps the next
/// few from being executed inline; a model that is slow more often than now and then never is.
#[derive(Debug)]
struct LatencyEstimate(AtomicU64);

const SHORT_NS: u64 = SHORT.as_nanos() as u64;

impl Default for LatencyEstimate {
    /// Unknown: a few short executions on the instance's own thread come first.
    fn default() -> Self {
        LatencyEstimate(AtomicU64::new(2 * SHORT_NS))
    }
}

impl LatencyEstimate {
    fn observe(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).min(8 * SHORT_NS);
        // Whoever executes has the instance's lock: nobody else writes.
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before - before / 8 + took / 8, Ordering::Relaxed);
    }

    fn is_short(&self) -> bool {
        self.0.load(Ordering::Relaxed) <= SHORT_NS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_is_four_times_the_one_before() {
        let table = [(0, 0), (1, 0), (64, 0), (65, 1), (256, 1), (257, 2), (1024, 2), (1025, 3)];
        for (kib, size) in table {
            assert_eq!(Size::of_bytes(kib << 10), Size(size), "{kib} KiB");
        }
        assert_eq!(Size::of_bytes(usize::MAX / 2), Size(SIZES - 1));
    }

    /// How many short executions it takes until more may be executed inline.
    fn until_short(estimate: &LatencyEstimate) -> usize {
        (0..1000).take_while(|_| !estimate.is_short()).inspect(|_| estimate.observe(SHORT / 10)).count()
    }

    #[test]
    fn a_model_is_slow_until_it_was_short_for_a_while() {
        let estimate = LatencyEstimate::default();
        assert!((3..20).contains(&until_short(&estimate)));
        for _ in 0..100 {
            estimate.observe(SHORT * 2);
        }
        assert!((3..20).contains(&until_short(&estimate)));
    }

    #[test]
    fn one_slow_execution_does_not_say_much_and_several_do() {
        let estimate = LatencyEstimate::default();
        (0..100).for_each(|_| estimate.observe(SHORT / 10));
        estimate.observe(Duration::MAX);
        assert!((1..5).contains(&until_short(&estimate)));
        (0..100).for_each(|_| estimate.observe(Duration::MAX));
        assert!(until_short(&estimate) > 10);
    }

    #[test]
    fn a_model_that_is_slow_for_every_fourth_request_is_never_short() {
        let estimate = LatencyEstimate::default();
        for i in 0..1000 {
            estimate.observe(if i % 4 == 0 { Duration::from_secs(1) } else { SHORT / 10 });
            assert!(!estimate.is_short(), "{i}: {estimate:?}");
        }
    }
}
