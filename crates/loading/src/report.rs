//! The errors and warnings that the steps report.

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::{Fault, FaultKind};

use crate::faults::faults_of;

/// The errors and warnings of the steps that were run, in the order of the steps.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// The model is not loaded if there is an error.
    pub(crate) errors: Vec<Error>,
    /// Warnings do not keep the model from being loaded.
    pub(crate) warnings: Vec<Fault>,
}

impl Report {
    /// Returns the value of a successful result; reports the error of a failed one and returns `None`.
    pub(crate) fn take<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.errors.push(error)).ok()
    }

    pub(crate) fn warn(&mut self, field: &str, message: impl Into<String>, kind: FaultKind) {
        self.warnings.push(Fault::new(field, message.into(), kind));
    }

    /// Whether an error about that field of the config was reported.
    pub(crate) fn is_told(&self, field: &str) -> bool {
        let mut faults = self.errors.iter().flat_map(|error| faults_of(error, None));
        faults.any(|fault| fault.path == field)
    }
}
