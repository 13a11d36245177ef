//! The trace file without an index, to which traces are added as they come.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tracing::error;

/// How many bytes are written at once.
const AT_ONCE: usize = 64 << 10;

/// One JSON array. It is complete when the file is closed.
pub(super) struct OpenFile {
    path: PathBuf,
    file: Option<File>,
    /// Text that is not written yet, and the number of traces in it.
    text: String,
    traces: u64,
    /// How many bytes of whole traces are in the file.
    written: u64,
    /// Whether a failure was logged: the next ones are most likely of the same kind.
    has_failed: bool,
    /// Traces that could not be written.
    lost: Arc<AtomicU64>,
}

impl OpenFile {
    pub(super) fn new(path: PathBuf, lost: Arc<AtomicU64>) -> OpenFile {
        OpenFile { path, file: None, text: String::new(), traces: 0, written: 0, has_failed: false, lost }
    }

    /// Adds the objects of so many traces, with commas between them. The first ones truncate the file.
    pub(super) fn append(&mut self, objects: &str, traces: u64) {
        if objects.is_empty() {
            return;
        }
        if self.file.is_none() {
            match File::create(&self.path) {
                Ok(file) => self.file = Some(file),
                Err(why) => return self.failed(&why, traces),
            }
        }
        self.text.push(if self.has_begun() { ',' } else { '[' });
        self.text.push_str(objects);
        self.traces += traces;
        if self.text.len() >= AT_ONCE {
            self.flush();
        }
    }

    fn has_begun(&self) -> bool {
        self.written > 0 || !self.text.is_empty()
    }

    /// Hands over what was added to the system. What cannot be written, such as to a disk that is full, is lost, and the file
    /// goes on behind the last trace that is whole.
    pub(super) fn flush(&mut self) {
        let Some(file) = &mut self.file else { return };
        if self.text.is_empty() {
            return;
        }
        let (text, traces) = (std::mem::take(&mut self.text), std::mem::take(&mut self.traces));
        match file.write_all(text.as_bytes()) {
            Ok(()) => {
                self.written += text.len() as u64;
                self.has_failed = false;
            }
            Err(why) => {
                // A pipe has no length, and nothing can be taken back there.
                let _ = file.set_len(self.written).and_then(|()| file.seek(SeekFrom::Start(self.written)));
                self.failed(&why, traces);
            }
        }
    }

    /// Completes the array.
    pub(super) fn close(&mut self) {
        self.flush();
        if self.has_begun()
            && let Some(mut file) = self.file.take()
            && let Err(why) = file.write_all(b"]")
        {
            self.failed(&why, 0);
        }
    }

    #[cold]
    fn failed(&mut self, why: &std::io::Error, traces: u64) {
        self.lost.fetch_add(traces, Relaxed);
        if !std::mem::replace(&mut self.has_failed, true) {
            error!("failed to write trace file '{}': {why}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_loses_traces_and_the_file_stays_valid() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace");
        let lost = Arc::<AtomicU64>::default();
        let mut open = OpenFile::new(path.clone(), Arc::clone(&lost));
        let disk_that_is_full = |open: &mut OpenFile, part: &str| {
            // A file that is open for reading only fails in the same way; a part came through before that.
            let writable = open.file.replace(File::open(&path).unwrap()).unwrap();
            open.flush();
            let _ = (&writable).write_all(part.as_bytes());
            writable
                .set_len(open.written)
                .and_then(|()| (&writable).seek(SeekFrom::Start(open.written)))
                .unwrap();
            open.file = Some(writable);
        };
        open.append("1", 1);
        disk_that_is_full(&mut open, "[");
        open.append("2,3", 2);
        open.flush();
        open.append("4", 1);
        disk_that_is_full(&mut open, ",");
        open.append("5", 1);
        open.close();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "[2,3,5]");
        assert_eq!(lost.load(Relaxed), 2);
    }
}
