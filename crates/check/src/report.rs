//! What a check found.

use std::path::PathBuf;

use hippocamp_core::{Finding, Severity};

/// All that a check found.
#[derive(Debug, Default)]
pub struct Report {
    /// What is wrong with the repositories themselves, a line each.
    pub repositories: Vec<String>,
    /// Every model, by name.
    pub models: Vec<CheckedModel>,
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
    /// How many findings keep a model from being loaded, and how many do not.
    pub fn counts(&self) -> (usize, usize) {
        let findings = || self.models.iter().flat_map(|model| &model.findings);
        let errors = findings().filter(|(finding, _)| finding.severity == Severity::Error).count();
        (errors + self.repositories.len(), findings().count() - errors)
    }
}
