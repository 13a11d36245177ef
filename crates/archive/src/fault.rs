//! What is wrong with an archive.

use std::fmt::Display;
use std::io;

use thiserror::Error;

/// Why an archive cannot be read or served: the archive, what was expected, what was found, and often the way out.
#[derive(Debug, Error)]
#[error("archive '{archive}': {text}")]
pub struct ArchiveFault {
    archive: String,
    text: String,
    #[source]
    source: Option<io::Error>,
}

impl ArchiveFault {
    pub(crate) fn new(archive: &str, text: impl Into<String>) -> ArchiveFault {
        ArchiveFault { archive: archive.to_owned(), text: text.into(), source: None }
    }

    /// For an operation that failed: what was done, and why it did not work.
    pub(crate) fn failed(archive: &str, what: impl Display, source: io::Error) -> ArchiveFault {
        ArchiveFault { archive: archive.to_owned(), text: format!("{what}: {source}"), source: Some(source) }
    }

    /// The text without the archive's name.
    pub fn text(&self) -> &str {
        &self.text
    }
}

pub(crate) type Result<T> = std::result::Result<T, ArchiveFault>;
