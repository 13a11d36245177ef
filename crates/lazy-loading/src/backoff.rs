//! Backoff after failed loads: a model that failed to load is not tried again for some time, so that not every request for
//! it causes a load.

use std::time::{Duration, Instant};

use hippocamp_backend::Error;

/// The pause after the first failure. Each further failure doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// The failure of the last load.
#[derive(Clone, Debug)]
pub(crate) struct LoadFault {
    pub(crate) error: Error,
    /// The earliest time of the next load.
    until: Instant,
    pub(crate) pause: Duration,
}

impl LoadFault {
    /// The fault of a load that failed at `now`. `last` is the fault of the load before it, if that failed too.
    pub(crate) fn after(last: Option<&LoadFault>, error: &Error, now: Instant) -> LoadFault {
        let pause = last.map_or(FIRST_PAUSE, |last| (last.pause * 2).min(LONGEST_PAUSE));
        LoadFault { error: error.clone(), until: now + pause, pause }
    }

    /// The error for requests during the pause; `None` if the pause is over.
    pub(crate) fn refuses(&self, now: Instant) -> Option<Error> {
        let left = self.until.checked_duration_since(now).filter(|left| !left.is_zero())?;
        let text = format!("{}; it is tried again in {} s", self.error, left.as_secs() + 1);
        Some(Error::new(self.error.code(), text))
    }
}
