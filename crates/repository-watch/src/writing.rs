//! The files that are being written, by the events of the kernel. No I/O is done here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A file that was written to counts as open until it is closed. The kernel may report no close (a file can be truncated by
/// name without being opened), so a file counts as open for this long after its last event at most.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(1);

/// The files that are open and were written to, each with the time of its last event.
#[derive(Debug, Default)]
pub(crate) struct Writing(BTreeMap<PathBuf, Instant>);

impl Writing {
    pub(crate) fn written(&mut self, path: &Path, now: Instant) {
        self.0.insert(path.to_owned(), now);
    }

    /// The file was closed, removed or moved away.
    pub(crate) fn ended(&mut self, path: &Path) {
        self.0.remove(path);
    }

    /// The folder was removed or renamed, so its files are gone or have other paths.
    pub(crate) fn ended_below(&mut self, folder: &Path) {
        self.0.retain(|path, _| !path.starts_with(folder));
    }

    pub(crate) fn files(&mut self, now: Instant) -> impl Iterator<Item = &Path> {
        self.0.retain(|_, last| now.saturating_duration_since(*last) < FORGOTTEN_AFTER);
        self.0.keys().map(PathBuf::as_path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_open_until_it_is_closed_or_nothing_was_heard_of_it_for_long() {
        let (mut writing, start) = (Writing::default(), Instant::now());
        let [a, b, c] = ["/r/m/1/a", "/r/m/1/b", "/r/n/c"].map(Path::new);
        for path in [a, b, c] {
            writing.written(path, start);
        }
        writing.written(b, start + FORGOTTEN_AFTER / 2);
        writing.ended(a);
        assert_eq!(writing.files(start).collect::<Vec<_>>(), [b, c]);
        assert_eq!(writing.files(start + FORGOTTEN_AFTER).collect::<Vec<_>>(), [b]);
        writing.ended_below(Path::new("/r/m"));
        assert_eq!(writing.files(start).count(), 0);
    }
}
