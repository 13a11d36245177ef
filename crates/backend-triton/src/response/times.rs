//! Times as backends report them: nanoseconds of the system's monotonic clock.

#![allow(unsafe_code, reason = "reads a clock of the C library")]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use hippocamp_backend::ExecutionTimes;

/// One moment on both clocks.
static MOMENT: LazyLock<(Instant, u64)> = LazyLock::new(|| {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists on every system that this runs on, and writes to the place that is given.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    (Instant::now(), time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
});

/// The moment that is so many nanoseconds on the monotonic clock; `None` for 0, which stands for a phase that was not
/// reached, and for what is no time.
pub(crate) fn instant(nanoseconds: u64) -> Option<Instant> {
    let (moment, at) = *MOMENT;
    match nanoseconds {
        0 => None,
        later if later >= at => moment.checked_add(Duration::from_nanos(later - at)),
        earlier => moment.checked_sub(Duration::from_nanos(at - earlier)),
    }
}

/// The times of an execution: begun, inputs ready, outputs begun, ended. A phase that was not reached took no time, and
/// none ends before it began.
pub(crate) fn execution(times: [u64; 4], otherwise: Instant) -> ExecutionTimes {
    let mut last = otherwise;
    let mut times = times.map(instant);
    if let Some(first) = times[0] {
        last = first;
    }
    let mut next = |time: &mut Option<Instant>| {
        last = time.unwrap_or(last).max(last);
        last
    };
    ExecutionTimes {
        started: next(&mut times[0]),
        inputs_ready: next(&mut times[1]),
        outputs_begun: next(&mut times[2]),
        finished: next(&mut times[3]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_that_were_not_reached_take_no_time() {
        let (moment, at) = *MOMENT;
        let times = execution([at, 0, 0, at + 5000], moment);
        assert_eq!((times.inputs_ready, times.outputs_begun), (times.started, times.started));
        assert_eq!(times.finished - times.started, Duration::from_micros(5));
        let times = execution([at + 3000, at + 2000, at + 4000, 0], moment);
        assert_eq!(times.phases().map(|phase| phase.as_micros()), [0, 1, 0]);
        assert_eq!(execution([0; 4], moment).finished, moment);
        assert!(instant(u64::MAX).is_none() || instant(u64::MAX) > Some(moment));
    }
}
