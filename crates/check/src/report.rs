//! The result of a check.

use std::path::PathBuf;

use hippocamp_core::{Finding, Severity};

/// The result of a check.
#[derive(Debug, Default)]
pub struct Report {
    /// The faults of the repositories themselves.
    pub repositories: Vec<String>,
    /// Warnings about the repositories.
    pub advice: Vec<String>,
    /// Engines that are not there: their models could not be checked.
    pub engines: Vec<MissingEngine>,
    /// Every model, by name.
    pub models: Vec<CheckedModel>,
}

/// An engine that models need and that is not installed.
#[derive(Debug)]
pub struct MissingEngine {
    pub backend: String,
    /// What the backend says.
    pub message: String,
    /// How many models need it.
    pub models: usize,
}

/// A model that was looked at.
#[derive(Debug)]
pub struct CheckedModel {
    pub name: String,
    /// Its config, or its folder if it has none: what findings are about.
    pub path: PathBuf,
    /// The config's text. Empty if it has none.
    pub text: String,
    /// In the order of the text; each with its likely fix, if there is one.
    pub findings: Vec<(Finding, Option<String>)>,
}

impl Report {
    /// How many findings keep a model from being loaded, and how many do not. A missing engine is one.
    pub fn counts(&self) -> (usize, usize) {
        let findings = || self.models.iter().flat_map(|model| &model.findings);
        let errors = findings().filter(|(finding, _)| finding.severity == Severity::Error).count();
        let warnings = findings().count() - errors + self.advice.len();
        (errors + self.repositories.len() + self.engines.len(), warnings)
    }
}
