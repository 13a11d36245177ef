//! A model that failed to load is not tried again at once: a client that asks at full rate shall not cost the machine a load
//! for each request.

use std::time::{Duration, Instant};

use hippocamp_backend::Error;

/// How long the model is left alone after the first failure. Each further one doubles that.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// How long it is left alone at most.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// What came of the last load.
#[derive(Clone, Debug)]
pub(crate) struct LoadFault {
    pub(crate) error: Error,
    /// The model is not tried again before.
    until: Instant,
    pub(crate) pause: Duration,
}

impl LoadFault {
    /// A load failed just now, after one that had failed with `last`.
    pub(crate) fn after(last: Option<&LoadFault>, error: &Error, now: Instant) -> LoadFault {
        let pause = last.map_or(FIRST_PAUSE, |last| (last.pause * 2).min(LONGEST_PAUSE));
        LoadFault { error: error.clone(), until: now + pause, pause }
    }

    /// What a request is told while the model is left alone; `None` if it is time to try again.
    pub(crate) fn refuses(&self, now: Instant) -> Option<Error> {
        let left = self.until.checked_duration_since(now).filter(|left| !left.is_zero())?;
        let text = format!("{}; it is tried again in {} s", self.error, left.as_secs() + 1);
        Some(Error::new(self.error.code(), text))
    }
}
