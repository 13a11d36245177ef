//! Inline execution: a request is executed by the thread that accepted it, on an idle instance.
//!
//! A handoff to an instance's thread and back costs two wake-ups, more than the execution of a small model. A request
//! that finds an idle instance and an empty queue is therefore executed by the accepting thread, if executions are
//! short: that thread has other connections to serve. All other requests go through the queue.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hippocamp_backend::{MovableInstance, Request};
use parking_lot::{Mutex, MutexGuard};

/// The longest latency estimate for which requests are executed inline: about the cost of the two wake-ups.
const SHORT: Duration = Duration::from_micros(30);

/// Latencies are estimated by input size: the first class reaches to this many bytes, each further one to four times as
/// many.
const SMALL: usize = 64 << 10;

const SIZES: usize = 8;

/// An instance that its own thread shares with threads that accept requests. Empty until the instance is created, and
/// after a panic until it is recreated.
#[derive(Default)]
pub(crate) struct SharedInstance {
    instance: Mutex<Option<MovableInstance>>,
    /// One estimate for each class of input sizes.
    estimates: [LatencyEstimate; SIZES],
}

impl fmt::Debug for SharedInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedInstance").field("estimates", &self.estimates).finish_non_exhaustive()
    }
}

impl SharedInstance {
    /// Locks the instance for its own thread. Blocks while another thread executes a request inline.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Option<MovableInstance>> {
        self.instance.lock()
    }

    /// Locks the instance for a thread that accepted a request of this size. `None` if the instance is busy, missing or
    /// slow.
    pub(crate) fn try_take(&self, size: Size) -> Option<MutexGuard<'_, Option<MovableInstance>>> {
        let idle = if self.estimates[size.0].is_short() { self.instance.try_lock() } else { None };
        idle.filter(|instance| instance.is_some())
    }

    /// Records the latency of an execution that ends now. The caller still holds the lock. Without `began` nothing is
    /// recorded.
    pub(crate) fn observe(&self, size: Size, began: Option<Instant>) {
        if let Some(began) = began {
            self.estimates[size.0].observe(began.elapsed());
        }
    }
}

/// The size class of an execution's inputs.
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

/// Estimates the latency of executions in nanoseconds: a moving average in which the last execution has the weight 1/8.
/// A single slow execution is mostly due to an interrupted thread, so it counts as 8 times [`SHORT`] at most: only the
/// next few requests are not executed inline. A model that is slow more often is never executed inline.
#[derive(Debug)]
struct LatencyEstimate(AtomicU64);

const SHORT_NS: u64 = SHORT.as_nanos() as u64;

impl Default for LatencyEstimate {
    /// The latency is unknown: inline execution begins after a few short executions on the instance's own thread.
    fn default() -> Self {
        LatencyEstimate(AtomicU64::new(2 * SHORT_NS))
    }
}

impl LatencyEstimate {
    fn observe(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).min(8 * SHORT_NS);
        // The caller holds the instance's lock, so there is only one writer.
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
