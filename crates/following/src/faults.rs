//! What is wrong with the repositories, logged once for as long as it lasts.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hippocamp_repository::{Scan, ScanFault};
use hippocamp_repository_watch::Debouncer;
use tracing::{info, warn};

/// A model that changes for longer than this is logged, once: that keeps it from being loaded.
const PATIENCE: Duration = Duration::from_secs(30);

/// The text of a fault, and the model that it is about if it is about one.
type Fault = (String, Option<String>);

/// What was logged already.
#[derive(Debug, Default)]
pub(crate) struct LoggedFaults {
    /// What was wrong at the last look.
    faults: BTreeSet<Fault>,
    /// Models that keep changing.
    restless: BTreeSet<String>,
}

impl LoggedFaults {
    /// Logs the faults that are new, and those that are over.
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

    /// Logs the models that have been changing for long.
    pub(crate) fn log_restless(&mut self, debouncer: &Debouncer, now: Instant) {
        for name in debouncer.restless(PATIENCE, now) {
            if self.restless.insert(name.to_owned()) {
                warn!(
                    model = name,
                    "its files have been changing for {} s, it is loaded when they rest",
                    PATIENCE.as_secs()
                );
            }
        }
    }

    /// The changes of these models have settled.
    pub(crate) fn settled(&mut self, names: &BTreeSet<String>) {
        self.restless.retain(|name| !names.contains(name));
    }
}
