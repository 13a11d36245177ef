//! Files that clients name by URL, fetched into a folder.
//!
//! A server that fetches what clients name can be made to ask its own network on their behalf. So a URL, and each to which it is
//! redirected, has to match a pattern that the administrator has given; without patterns, any URL will do whose host is on the
//! public internet, by the address that is connected to. A file that is there under its name is a whole one: it is written
//! beside, and gets its name when all of it has come.

#![warn(missing_docs)]

mod addresses;
mod allowed;
mod fetch;
mod fetched;

use std::path::Path;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Semaphore;

pub use allowed::Allowed;
pub use fetched::Fetched;

/// How many files are fetched at once; others are refused.
const AT_ONCE: usize = 4;

/// Fetches files within limits.
#[derive(Debug)]
pub struct Downloads {
    allowed: Allowed,
    max_bytes: u64,
    times: Times,
    running: Semaphore,
}

/// How long a fetch may take.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Until a connection is there.
    pub connect: Duration,
    /// Between two parts of an answer.
    pub silence: Duration,
    /// In all.
    pub whole: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Times {
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            whole: Duration::from_mins(30),
        }
    }
}

/// Why a file was not fetched. Nothing of it is left.
#[derive(Debug, Error)]
pub enum DownloadFault {
    /// The URL, or one that it leads to, may not be fetched.
    #[error("Given URL {0} does not match any allowed URL(s)")]
    NotAllowed(String),
    /// As many are being fetched as may be.
    #[error("{AT_ONCE} archives are being fetched, and no more at once: try again later")]
    Busy,
    /// The folder has a file of that name.
    #[error("Model file already exists {0}")]
    Exists(String),
    /// It was not sent, or not within the limits.
    #[error("Failed to download archive from: {url}: {why}")]
    Failed {
        /// The URL.
        url: String,
        /// The reason, as a sentence.
        why: String,
    },
    /// It could not be written.
    #[error("Failed to save model: {url}: {why}")]
    NotSaved {
        /// The URL.
        url: String,
        /// The reason.
        why: String,
    },
}

impl Downloads {
    /// Fetches what is allowed, up to `max_bytes` a file.
    pub fn new(allowed: Allowed, max_bytes: u64, times: Times) -> Downloads {
        Downloads { allowed, max_bytes, times, running: Semaphore::new(AT_ONCE) }
    }

    /// Fetches a file into a folder, under the name that the URL ends in. Dropping the future leaves nothing.
    pub async fn fetch(&self, url: &str, folder: &Path) -> Result<Fetched, DownloadFault> {
        let _permit = self.running.try_acquire().map_err(|_| DownloadFault::Busy)?;
        let fetched = tokio::time::timeout(self.times.whole, self.fetch_file(url, folder)).await;
        fetched.unwrap_or_else(|_| {
            let seconds = self.times.whole.as_secs();
            Err(DownloadFault::Failed {
                url: url.to_owned(),
                why: format!("it took longer than {seconds} s"),
            })
        })
    }
}
