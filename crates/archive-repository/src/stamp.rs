//! What stands for the content of an archive.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use hippocamp_repository::Fingerprint;

/// How deep a folder is looked into; an archive has two levels.
const DEPTH: usize = 4;

/// A stamp that changes when the archive is written or replaced: of its size, times and inode, and of each file if it is a
/// folder.
pub(crate) fn stamp(path: &Path) -> io::Result<Fingerprint> {
    let mut parts = Vec::new();
    add(path, &fs::metadata(path)?, DEPTH, &mut parts)?;
    Ok(Fingerprint::of(&parts))
}

fn add(
    path: &Path,
    metadata: &Metadata,
    depth: usize,
    parts: &mut Vec<(String, [i64; 7])>,
) -> io::Result<()> {
    let stamp = [
        metadata.dev() as i64,
        metadata.ino() as i64,
        if metadata.is_dir() { 0 } else { metadata.len() as i64 },
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    ];
    parts.push((path.to_string_lossy().into_owned(), stamp));
    if metadata.is_dir() && depth > 0 {
        let mut inner: Vec<_> = fs::read_dir(path)?.collect::<io::Result<_>>()?;
        inner.sort_by_key(fs::DirEntry::file_name);
        for entry in inner {
            add(&entry.path(), &fs::symlink_metadata(entry.path())?, depth - 1, parts)?;
        }
    }
    Ok(())
}
