//! What tells that files have changed, without reading them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// How some files were at one time: which they were, their sizes and times. It differs once one was written, replaced, removed
/// or made. Links are followed, so that one that leads elsewhere now differs, too, as those of Kubernetes' secrets do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp(Vec<Option<Seen>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Looks at the files. One that cannot be looked at counts as not there.
    pub fn of<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Stamp {
        let seen = paths.into_iter().map(|path| {
            let metadata = fs::metadata(path).ok()?;
            Some(Seen {
                file: (metadata.dev(), metadata.ino()),
                size: metadata.size(),
                modified: (metadata.mtime(), metadata.mtime_nsec()),
                changed: (metadata.ctime(), metadata.ctime_nsec()),
            })
        });
        Stamp(seen.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_any_kind_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a"), "1").unwrap();
        fs::write(path("b"), "12").unwrap();
        std::os::unix::fs::symlink(path("a"), path("link")).unwrap();
        let paths = [path("link"), path("c")];
        let first = Stamp::of(&paths);
        assert_eq!(first, Stamp::of(&paths));
        fs::remove_file(path("link")).unwrap();
        std::os::unix::fs::symlink(path("b"), path("link")).unwrap();
        let second = Stamp::of(&paths);
        assert_ne!(first, second);
        fs::write(path("c"), "").unwrap();
        let third = Stamp::of(&paths);
        assert_ne!(second, third);
        fs::write(path("b"), "123").unwrap();
        assert_ne!(third, Stamp::of(&paths));
    }
}
