//! Estimates of the latency of a model's executions, by the size of their inputs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hippocamp_backend::Request;

use super::run_delay::run_delay;

/// The longest latency estimate at which inline execution begins: about the cost of the two wake-ups.
const SHORT: Duration = Duration::from_micros(30);

/// The latency estimate at which it ends. In between it stays as it is, so that it does not end and begin all the time.
const LONG: Duration = Duration::from_micros(60);

const SHORT_NS: u64 = SHORT.as_nanos() as u64;

const LONG_NS: u64 = LONG.as_nanos() as u64;

/// Latencies are estimated by input size: the first class reaches to this many bytes, each further one to four times as
/// many.
const SMALL: usize = 64 << 10;

const SIZES: usize = 8;

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

/// The estimates of a model, which all of its instances share: what one of them has learned holds for the others.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct LatencyEstimates([LatencyEstimate; SIZES]);

impl LatencyEstimates {
    /// What [`observe`](LatencyEstimates::observe) has to be told of the time before the execution of a batch of that size.
    pub(crate) fn before(&self, size: Size) -> Before {
        if self.0[size.0].is_watched() {
            run_delay().map_or(Before::Untold, Before::Kept)
        } else {
            Before::Unmeasured
        }
    }

    /// Records an execution that took so long by the wall clock and ends now, on the same thread.
    pub(crate) fn observe(&self, size: Size, before: Before, took: Duration) {
        let kept = match before {
            Before::Unmeasured => None,
            // Reading takes microseconds, so it is done only where it may tell something.
            Before::Kept(before) if took > SHORT => {
                Some(run_delay().unwrap_or(before).saturating_sub(before))
            }
            Before::Kept(_) | Before::Untold => Some(Duration::ZERO),
        };
        self.0[size.0].observe(took, kept);
    }

    /// Whether executions of that size are short enough for a thread that has other things to do.
    pub(crate) fn is_short(&self, size: Size) -> bool {
        self.0[size.0].is_short()
    }

    /// How long an execution of that size is going to take.
    pub(crate) fn latency(&self, size: Size) -> Duration {
        Duration::from_nanos(self.0[size.0].load().average_ns)
    }
}

/// How long the thread was kept from running before an execution.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Before {
    /// The execution is not measured.
    Unmeasured,
    Kept(Duration),
    /// The system does not tell, so the execution counts in full.
    Untold,
}

/// Estimates the latency of executions: a moving average in which the last execution has the weight 1/8.
///
/// By the wall clock an execution takes long when its thread lost its core to others meanwhile, which happens all the time
/// on a busy machine and says nothing about the model. So that time is subtracted. To measure it takes microseconds, so
/// it is done only where it may matter. As long as executions have been short, a long one that was not measured makes the
/// next ones be measured and counts for nothing. Of a model that is not executed inline all executions are measured if the
/// estimate is near the bounds, otherwise some; only those count. An execution that waits for something, such as a lock
/// or a device, does not get that time back: the thread that executes inline would wait as well.
///
/// An execution counts as [`MOST_NS`] at most, so that one does not decide; a model that is slow more often
/// is never executed inline.
#[derive(Debug)]
struct LatencyEstimate(AtomicU64);

const MOST_NS: u64 = 8 * SHORT_NS;

/// How many executions are measured after a long one. Of a model that takes much longer, one in so many.
const WATCHED: u64 = 16;

/// Below this, executions may turn out to be short.
const NEAR_NS: u64 = 2 * LONG_NS;

/// The content of a [`LatencyEstimate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    average_ns: u64,
    /// More executions are measured while it is above 0; see [`WATCHED`].
    watched: u64,
    is_short: bool,
}

impl State {
    const fn pack(self) -> u64 {
        self.average_ns << 8 | self.watched << 1 | self.is_short as u64
    }

    const fn unpack(word: u64) -> State {
        State { average_ns: word >> 8, watched: word >> 1 & 0x7f, is_short: word & 1 == 1 }
    }
}

impl Default for LatencyEstimate {
    /// The latency is unknown: inline execution begins after a few short executions on the instance's own thread.
    fn default() -> Self {
        LatencyEstimate(AtomicU64::new(State { average_ns: LONG_NS, watched: 0, is_short: false }.pack()))
    }
}

impl LatencyEstimate {
    fn load(&self) -> State {
        State::unpack(self.0.load(Ordering::Relaxed))
    }

    /// Whether the next execution is to be measured.
    fn is_watched(&self) -> bool {
        let State { average_ns, watched, is_short } = self.load();
        if is_short { watched > 0 } else { watched == 0 || average_ns < NEAR_NS }
    }

    /// Records an execution, and if it was measured, for how much of it the thread was kept from running. Instances of the model that end at the same time may lose one of their observations, which does no
    /// harm. Where the decision is clear and the estimate about right, nothing is written, so that the cores that read it
    /// keep it.
    fn observe(&self, took: Duration, kept: Option<Duration>) {
        let before = self.load();
        let mut after = before;
        let is_long = took > SHORT;
        after.watched = match before.is_short {
            true if is_long => WATCHED,
            true => before.watched.saturating_sub(1),
            false => before.watched.checked_sub(1).unwrap_or(WATCHED),
        };
        // Long ones that are not measured must not count, and then short ones must not either, unless all have been short.
        if kept.is_some() || (before.is_short && !is_long) {
            let counts = took.saturating_sub(kept.unwrap_or_default());
            let counts = u64::try_from(counts.as_nanos()).unwrap_or(u64::MAX).min(MOST_NS);
            let is_right = before.average_ns.max(counts) <= SHORT_NS / 2
                && before.average_ns.abs_diff(counts) <= before.average_ns / 4;
            if !is_right {
                after.average_ns = before.average_ns - before.average_ns / 8 + counts / 8;
            }
        }
        after.is_short = after.average_ns <= if before.is_short { LONG_NS - 1 } else { SHORT_NS };
        if after.is_short != before.is_short {
            after.watched = 0;
        }
        if after != before {
            self.0.store(after.pack(), Ordering::Relaxed);
        }
    }

    fn is_short(&self) -> bool {
        self.load().is_short
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
        (0..1000).take_while(|_| !estimate.is_short()).inspect(|_| computes(estimate, SHORT / 10)).count()
    }

    fn short() -> LatencyEstimate {
        let estimate = LatencyEstimate::default();
        (0..100).for_each(|_| computes(&estimate, SHORT / 10));
        assert!(estimate.is_short());
        estimate
    }

    /// An execution that computes or waits for so long, on a machine that has nothing else to do.
    fn computes(estimate: &LatencyEstimate, took: Duration) {
        let kept = estimate.is_watched().then_some(Duration::ZERO);
        estimate.observe(took, kept);
    }

    /// An execution that takes `SHORT / 10`, during which others take the core for so long.
    fn is_preempted(estimate: &LatencyEstimate, others: Duration) {
        let kept = estimate.is_watched().then_some(others);
        estimate.observe(SHORT / 10 + others, kept);
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        for average_ns in [0, 1, MOST_NS] {
            for watched in [0, WATCHED] {
                for is_short in [false, true] {
                    let state = State { average_ns, watched, is_short };
                    assert_eq!(State::unpack(state.pack()), state);
                }
            }
        }
    }

    #[test]
    fn a_model_is_slow_until_it_was_short_for_a_while() {
        let estimate = LatencyEstimate::default();
        assert!((3..20).contains(&until_short(&estimate)));
        for _ in 0..100 {
            computes(&estimate, SHORT * 3);
        }
        assert!((3..20).contains(&until_short(&estimate)));
    }

    #[test]
    fn what_has_begun_goes_on_between_the_two_bounds() {
        let [slow, short] = [LatencyEstimate::default(), short()];
        let between = SHORT * 3 / 2;
        for _ in 0..1000 {
            computes(&slow, between);
            computes(&short, between);
            assert!(!slow.is_short() && short.is_short());
        }
        (0..100).for_each(|_| computes(&short, LONG * 2));
        assert!(!short.is_short());
    }

    #[test]
    fn a_model_that_begins_to_compute_or_to_wait_for_long_is_noticed_soon() {
        let estimate = short();
        let noticed =
            (0..100).take_while(|_| estimate.is_short()).inspect(|_| computes(&estimate, LONG * 20));
        assert!((2..5).contains(&noticed.count()));
        assert!(until_short(&estimate) > 5);
    }

    #[test]
    fn one_slow_execution_does_not_say_much() {
        let estimate = short();
        computes(&estimate, Duration::MAX);
        assert!(estimate.is_short() && estimate.is_watched(), "the next ones are measured");
        computes(&estimate, Duration::MAX);
        assert!(estimate.is_short());
        (0..100).for_each(|_| computes(&estimate, SHORT / 10));
        assert!(!estimate.is_watched(), "nothing came of it");
    }

    #[test]
    fn a_model_whose_thread_is_preempted_stays_short() {
        let estimate = short();
        for n in 1..1000 {
            is_preempted(&estimate, Duration::from_millis(n % 20));
            assert!(estimate.is_short(), "{n}: {:?}", estimate.load());
        }
        // Of one that is not executed inline only some are measured, so it takes longer.
        (0..100).for_each(|_| computes(&estimate, LONG * 2));
        for n in 0..1000 {
            is_preempted(&estimate, if n % 50 == 0 { Duration::from_millis(4) } else { Duration::ZERO });
        }
        assert!(estimate.is_short());
    }

    #[test]
    fn a_model_becomes_short_though_its_thread_is_preempted_most_of_the_time() {
        let estimate = LatencyEstimate::default();
        let others = |n| if n % 3 == 0 { Duration::ZERO } else { Duration::from_millis(3) };
        let until = (0..1000).take_while(|_| !estimate.is_short());
        assert!((3..20).contains(&until.inspect(|n| is_preempted(&estimate, others(*n))).count()));
    }

    #[test]
    fn what_is_long_without_the_others_is_long_with_them() {
        let estimate = short();
        for n in 0..100 {
            let kept = estimate.is_watched().then_some(Duration::from_millis(n % 5));
            estimate.observe(LONG * 2 + Duration::from_millis(n % 5), kept);
        }
        assert!(!estimate.is_short());
    }

    #[test]
    fn a_model_that_is_slow_for_every_fourth_request_is_never_short_for_long() {
        let estimate = LatencyEstimate::default();
        for i in 0..1000 {
            computes(&estimate, if i % 4 == 0 { Duration::from_secs(1) } else { SHORT / 10 });
            assert!(!estimate.is_short(), "{i}: {:?}", estimate.load());
        }
        let estimate = short();
        for i in 0..1000 {
            computes(&estimate, if i % 4 == 0 { Duration::from_secs(1) } else { SHORT / 10 });
            assert!(i < 20 || !estimate.is_short(), "{i}: {:?}", estimate.load());
        }
    }

    #[test]
    fn an_estimate_settles_near_what_executions_take() {
        let estimate = LatencyEstimate::default();
        for took in [2, 10, 40, 3, 14, 25, 5].map(Duration::from_micros) {
            (0..200).for_each(|_| computes(&estimate, took));
            let settled = Duration::from_nanos(estimate.load().average_ns);
            assert!(settled.abs_diff(took) <= took / 3, "{settled:?} where all take {took:?}");
        }
    }
}
