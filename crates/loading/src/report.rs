//! What the steps found wrong.

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::{Fault, FaultKind};

use crate::faults::faults_of;

/// The errors and warnings of the steps that were taken, in their order.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Each of them keeps the model from loading.
    pub(crate) errors: Vec<Error>,
    /// What was written without an effect.
    pub(crate) warnings: Vec<Fault>,
}

impl Report {
    /// What a part of a step gave; `None` if it failed.
    pub(crate) fn take<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.errors.push(error)).ok()
    }

    pub(crate) fn warn(&mut self, field: &str, message: impl Into<String>, kind: FaultKind) {
        self.warnings.push(Fault::new(field, message.into(), kind));
    }

    /// Whether an error about that field of the config was found.
    pub(crate) fn is_told(&self, field: &str) -> bool {
        let mut faults = self.errors.iter().flat_map(|error| faults_of(error, None));
        faults.any(|fault| fault.path == field)
    }
}
