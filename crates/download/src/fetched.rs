//! A file that was fetched.

use std::path::{Path, PathBuf};

/// A file that was fetched, and is removed unless it is kept: whoever asked for it may be gone by now.
#[derive(Debug)]
pub struct Fetched(Option<PathBuf>);

impl Fetched {
    pub(crate) fn new(path: PathBuf) -> Fetched {
        Fetched(Some(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(""))
    }

    /// Leaves the file where it is, and returns its path.
    pub fn keep(mut self) -> PathBuf {
        self.0.take().unwrap_or_default()
    }
}

impl Drop for Fetched {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // It is gone already, or cannot be removed: then there is nobody to tell.
            drop(std::fs::remove_file(path));
        }
    }
}
