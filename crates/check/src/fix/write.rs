//! Writes what is to become of a model's folder.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use hippocamp_files as files;
use tempfile::NamedTempFile;

use super::Change;

/// Replaces the config at once, so that a server that reads it never sees half of it, and moves the files. Fails with a
/// message.
pub(super) fn write(folder: &Path, change: &Change) -> Result<(), String> {
    if let Some(config) = change.config.as_ref().filter(|_| change.before != change.after) {
        // A link stays a link.
        let path = fs::canonicalize(folder.join(config)).map_err(|why| why.to_string())?;
        let now = files::read_text(&path, files::TEXT_LIMIT).map_err(|why| why.to_string())?;
        if now != change.before {
            return Err("it was changed meanwhile".to_owned());
        }
        replace(&path, &change.after).map_err(|why| format!("it cannot be written: {why}"))?;
    }
    for (from, to) in &change.moves {
        let to = folder.join(to);
        let moved = fs::create_dir_all(to.parent().unwrap_or(folder)).and_then(|()| {
            if to.try_exists()? {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists));
            }
            fs::rename(folder.join(from), &to)
        });
        moved.map_err(|why| format!("'{}' cannot be moved: {why}", from.display()))?;
    }
    Ok(())
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let permissions = fs::metadata(path)?.permissions();
    let mut file = NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(permissions)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
