//! Settings of following.

use std::time::Duration;

use hippocamp_repository_watch::SettlingTime;

/// Settings of following.
#[derive(Clone, Debug)]
pub struct WatchSettings {
    /// The interval of scans of everything, in addition to events; `None` for no such scans.
    pub poll: Option<Duration>,
    /// How long a model must be unchanged before its change is handled.
    pub settling: SettlingTime,
    /// Whether file events of the kernel are used.
    pub events: bool,
}

impl Default for WatchSettings {
    fn default() -> Self {
        WatchSettings { poll: Some(Duration::from_secs(15)), settling: SettlingTime::default(), events: true }
    }
}
