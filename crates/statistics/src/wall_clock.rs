//! The time of day of moments that were read from the monotonic clock.

use std::time::{Duration, Instant, SystemTime};

/// How long a reading of the system clock is used: so long a step of that clock may go unnoticed.
const READING: Duration = Duration::from_secs(1);

/// Reads the system clock once a second at most, and counts from there.
#[derive(Debug, Default)]
pub(crate) struct WallClock(Option<(Instant, Duration)>);

impl WallClock {
    /// The time from 1970 to a moment that was just now.
    pub(crate) fn since_1970(&mut self, at: Instant) -> Duration {
        if let WallClock(Some((read, time))) = *self
            && let Some(passed) = at.checked_duration_since(read)
            && passed < READING
        {
            return time + passed;
        }
        self.read(at)
    }

    #[cold]
    fn read(&mut self, at: Instant) -> Duration {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = Instant::now();
        self.0 = Some((now, time));
        time.saturating_sub(now.saturating_duration_since(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_moment_is_that_of_the_system_clock() {
        let mut clock = WallClock::default();
        let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        for _ in 0..3 {
            let before = now();
            let told = clock.since_1970(Instant::now());
            // A reading is of two clocks, one after the other.
            assert!(told + READING > before && told < now() + READING, "{told:?} {before:?}");
        }
        let at = clock.0.unwrap().0 + READING / 2;
        assert_eq!(clock.since_1970(at), clock.0.unwrap().1 + READING / 2, "it is not read again");
        let read = clock.0.unwrap().0;
        let earlier = clock.since_1970(read.checked_sub(READING).unwrap());
        assert!(earlier < now() && clock.0.unwrap().0 > read, "it is read again");
    }
}
