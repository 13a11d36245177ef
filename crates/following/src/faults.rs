//! Logs the faults of the repositories: each once when it appears and once when it disappears.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hippocamp_repository::{Scan, ScanFault};
use hippocamp_repository_watch::Debouncer;
use tracing::{info, warn};

/// A model that keeps changing for longer than this is logged once, because it is not loaded until it settles.
const LONG_CHANGE: Duration = Duration::from_secs(30);

/// The text of a fault and the name of its model; `None` if the fault concerns a repository.
type Fault = (String, Option<String>);

/// The faults that were logged already.
#[derive(Debug, Default)]
pub(crate) struct LoggedFaults {
    /// The faults of the last scan.
    faults: BTreeSet<Fault>,
    /// Models that keep changing.
    long_changing: BTreeSet<String>,
}

impl LoggedFaults {
    /// Logs the faults that are new and those that have disappeared.
    pub(crate) fn log(&mut self, scan: &Scan) {
        let fault = |fault: &ScanFault| (fault.to_string(), fault.model().map(str::to_owned));
        let faults: BTreeSet<Fault> = scan.faults.iter().map(fault).collect();
        for (fault, model) in faults.difference(&self.faults) {
            warn!(model, "{fault}");
        }
        for (fault, model) in self.faults.difference(&faults) {
            info!(model, "no longer so: {fault}");
        }
        self.faults = faults;
    }

    /// Logs the models that have kept changing for longer than [`LONG_CHANGE`].
    pub(crate) fn log_long_changing(&mut self, debouncer: &Debouncer, now: Instant) {
        for name in debouncer.long_changing(LONG_CHANGE, now) {
            if self.long_changing.insert(name.to_owned()) {
                warn!(
                    model = name,
                    "its files have been changing for {} s, it is loaded when they rest",
                    LONG_CHANGE.as_secs()
                );
            }
        }
    }

    /// Notes that the changes of these models have settled.
    pub(crate) fn settled(&mut self, names: &BTreeSet<String>) {
        self.long_changing.retain(|name| !names.contains(name));
    }
}
