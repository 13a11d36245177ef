//! Writes what is to become of a model's folder.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use hippocamp_files as files;
use tempfile::NamedTempFile;

use super::Change;

/// Replaces a config at once, so that a server that reads it never sees half of it. A link stays a link, and owner and permissions
/// are those of before. Fails with a message if it is not `before` any more, or cannot be written.
pub(super) fn write_config(path: &Path, before: &str, after: &str) -> Result<(), String> {
    replace(&unchanged(path, before)?, after).map_err(|why| format!("it cannot be written: {why}"))
}

/// The config's own path, if its text still is this one.
fn unchanged(path: &Path, before: &str) -> Result<PathBuf, String> {
    // A link stays a link.
    let path = fs::canonicalize(path).map_err(|why| why.to_string())?;
    let now = files::read_text(&path, files::TEXT_LIMIT).map_err(|why| why.to_string())?;
    if now == before { Ok(path) } else { Err("it was changed meanwhile".to_owned()) }
}

/// Moves the files, then replaces the config at once. Fails with a message, and then all is as it was.
pub(super) fn write(folder: &Path, change: &Change) -> Result<(), String> {
    let config = change.config.as_ref().filter(|_| change.before != change.after);
    let path = config.map(|config| unchanged(&folder.join(config), &change.before)).transpose()?;
    let mut moved = Vec::new();
    let done = moves(folder, change, &mut moved).and_then(|()| match &path {
        Some(path) => replace(path, &change.after).map_err(|why| format!("it cannot be written: {why}")),
        None => Ok(()),
    });
    if done.is_err() {
        for (from, to) in moved.into_iter().rev() {
            // Best effort: the error that is told comes first.
            drop(fs::rename(to, from));
        }
    }
    done
}

/// Moves the files, and notes which of them are where.
fn moves(folder: &Path, change: &Change, moved: &mut Vec<(PathBuf, PathBuf)>) -> Result<(), String> {
    for (from, to) in &change.moves {
        let (source, target) = (folder.join(from), folder.join(to));
        let done = fs::create_dir_all(target.parent().unwrap_or(folder)).and_then(|()| {
            if target.try_exists()? {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists));
            }
            fs::rename(&source, &target)
        });
        done.map_err(|why| format!("'{}' cannot be moved: {why}", from.display()))?;
        moved.push((source, target));
    }
    Ok(())
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let before = fs::metadata(path)?;
    let mut file = NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    // Whoever owned it goes on to, or the server could not read what root has mended. Others than root may not give files away.
    drop(fchown(file.as_file(), Some(before.uid()), Some(before.gid())));
    file.as_file().set_permissions(before.permissions())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
