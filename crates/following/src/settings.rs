//! How the repositories are followed.

use std::time::Duration;

use hippocamp_repository_watch::SettlingTime;

/// How the repositories are followed.
#[derive(Clone, Debug)]
pub struct WatchSettings {
    /// How often everything is looked at, whatever the system reports; `None` for never.
    pub poll: Option<Duration>,
    /// How long nothing may have happened to a model before its change is acted on.
    pub settling: SettlingTime,
    /// Whether the system is asked to report changes.
    pub events: bool,
}

impl Default for WatchSettings {
    fn default() -> Self {
        WatchSettings { poll: Some(Duration::from_secs(15)), settling: SettlingTime::default(), events: true }
    }
}
