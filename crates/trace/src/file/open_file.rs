//! The trace file without an index, to which traces are added as they come.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use tracing::error;

/// One JSON array. It is complete when the file is closed.
pub(super) struct OpenFile {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    /// Whether something is in it.
    has_begun: bool,
    /// Whether a failure was logged: the next ones are most likely of the same kind.
    has_failed: bool,
}

impl OpenFile {
    pub(super) fn new(path: PathBuf) -> OpenFile {
        OpenFile { path, file: None, has_begun: false, has_failed: false }
    }

    /// Adds objects with commas between them. The first ones truncate the file.
    pub(super) fn append(&mut self, objects: &str) {
        if objects.is_empty() {
            return;
        }
        if self.file.is_none() {
            match File::create(&self.path) {
                Ok(file) => self.file = Some(BufWriter::new(file)),
                Err(why) => return self.failed(&why),
            }
        }
        let Some(file) = &mut self.file else { return };
        let separator = if self.has_begun { "," } else { "[" };
        let written = file.write_all(separator.as_bytes()).and_then(|()| file.write_all(objects.as_bytes()));
        match written {
            Ok(()) => self.has_begun = true,
            Err(why) => self.failed(&why),
        }
    }

    /// Hands over what was added to the system.
    pub(super) fn flush(&mut self) {
        if let Some(Err(why)) = self.file.as_mut().map(BufWriter::flush) {
            self.failed(&why);
        }
    }

    /// Completes the array.
    pub(super) fn close(&mut self) {
        if self.has_begun
            && let Some(mut file) = self.file.take()
            && let Err(why) = file.write_all(b"]").and_then(|()| file.flush())
        {
            self.failed(&why);
        }
    }

    #[cold]
    fn failed(&mut self, why: &std::io::Error) {
        if !std::mem::replace(&mut self.has_failed, true) {
            error!("failed to write trace file '{}': {why}", self.path.display());
        }
    }
}
