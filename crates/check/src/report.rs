//! The result of a check.

use std::path::PathBuf;

use hippocamp_core::{Finding, Severity};

/// Everything that a check found.
#[derive(Debug, Default)]
pub struct Report {
    /// Faults of the repositories themselves, as messages.
    pub repositories: Vec<String>,
    /// Warnings about the repositories: things that are allowed, but probably not intended.
    pub advice: Vec<String>,
    /// Backends whose engine is missing, so that their models could not be checked.
    pub engines: Vec<MissingEngine>,
    /// All models, sorted by name.
    pub models: Vec<CheckedModel>,
}

/// A backend that models need and whose engine is missing.
#[derive(Debug)]
pub struct MissingEngine {
    pub backend: String,
    /// The backend's error message.
    pub message: String,
    /// The number of models that need it.
    pub models: usize,
}

/// A model and the findings about it.
#[derive(Debug)]
pub struct CheckedModel {
    pub name: String,
    /// The path of its config file, or of its folder if it has no config file.
    pub path: PathBuf,
    /// The text of the config; empty if there is none.
    pub text: String,
    /// Findings in the order of the text, each with its likely fix if one is known.
    pub findings: Vec<(Finding, Option<String>)>,
}

impl Report {
    /// The numbers of errors and of warnings. A missing engine counts as an error.
    pub fn counts(&self) -> (usize, usize) {
        let findings = || self.models.iter().flat_map(|model| &model.findings);
        let errors = findings().filter(|(finding, _)| finding.severity == Severity::Error).count();
        let warnings = findings().count() - errors + self.advice.len();
        (errors + self.repositories.len() + self.engines.len(), warnings)
    }
}
