//! Why a model could not be loaded.

use std::collections::BTreeMap;

use hippocamp_backend::{Code, Error};

use crate::faults::faults_of;
use crate::hint::hint;

const CHANGED: &str = "its files changed while they were read";

/// Why a model could not be loaded.
#[derive(Debug)]
pub enum LoadFailure {
    /// The config cannot be used; no version was tried.
    Config(Error),
    /// The versions that failed. The other versions are not loaded either.
    Versions(BTreeMap<u64, Error>),
    /// The files changed while they were read, so what was loaded may mix the old and the new content.
    Changed,
    /// All versions of an ensemble failed because of the models that it is composed of.
    Composing { versions: Vec<u64>, error: Error },
}

impl LoadFailure {
    /// The error for the client that requested the load.
    pub fn into_error(self, name: &str) -> Error {
        match self {
            // The client gets Triton's text, to the letter; the log has the reason.
            LoadFailure::Config(error) if error.code() == Code::Unsupported => error,
            LoadFailure::Config(_) => not_found(name),
            LoadFailure::Versions(versions) => {
                let each = versions.iter();
                let each =
                    each.map(|(v, e)| format!("version {v} is at UNAVAILABLE state: {};\n", e.reason()));
                let each = each.collect::<Vec<_>>().concat();
                Error::invalid_arg(format!("load failed for model '{name}': {each}"))
            }
            LoadFailure::Changed => Error::unavailable(format!("load failed for model '{name}': {CHANGED}")),
            LoadFailure::Composing { error, .. } => {
                Error::new(error.code(), format!("load failed for model '{name}': {error}"))
            }
        }
    }

    /// The same failure, with each text replaced by `text`.
    #[must_use]
    pub fn with_text(self, text: &dyn Fn(&str) -> String) -> LoadFailure {
        let other = |error: Error| {
            let message = text(error.message());
            error.with_message(message)
        };
        match self {
            LoadFailure::Config(error) => LoadFailure::Config(other(error)),
            LoadFailure::Versions(versions) => {
                LoadFailure::Versions(versions.into_iter().map(|(v, error)| (v, other(error))).collect())
            }
            LoadFailure::Changed => LoadFailure::Changed,
            LoadFailure::Composing { versions, error } => {
                LoadFailure::Composing { versions, error: other(error) }
            }
        }
    }

    /// The whole reason, for the log.
    pub fn reason(&self) -> String {
        match self {
            LoadFailure::Config(error) | LoadFailure::Composing { error, .. } => error.to_string(),
            LoadFailure::Changed => CHANGED.to_owned(),
            LoadFailure::Versions(versions) => {
                let each: Vec<String> = versions.iter().map(|(v, e)| format!("version {v}: {e}")).collect();
                each.join("; ")
            }
        }
    }

    fn errors(&self) -> Vec<&Error> {
        match self {
            LoadFailure::Config(error) | LoadFailure::Composing { error, .. } => vec![error],
            LoadFailure::Versions(versions) => versions.values().collect(),
            LoadFailure::Changed => Vec::new(),
        }
    }

    /// Suggestions for the log; empty if there are none.
    pub fn hints(&self, backends: &[&str]) -> String {
        let mut hints: Vec<String> = Vec::new();
        for fault in self.errors().into_iter().flat_map(|error| faults_of(error, None)) {
            hints.extend(hint(&fault.kind, &[], backends).filter(|hint| !hints.contains(hint)));
        }
        if hints.is_empty() { String::new() } else { format!(" (fix: {})", hints.join("; ")) }
    }
}

/// The error for a model that no repository has, or whose config cannot be used.
pub fn not_found(name: &str) -> Error {
    Error::internal(format!("failed to load '{name}', failed to poll from model repository"))
}

/// A failure of all versions for the same reason.
pub fn all_versions(versions: &[u64], error: &Error) -> LoadFailure {
    LoadFailure::Versions(versions.iter().map(|&version| (version, error.clone())).collect())
}
