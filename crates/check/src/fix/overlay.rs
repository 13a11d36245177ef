//! A repository as it would be: links to the real one, but for what is to change.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Change, Place};

/// The repositories, in a folder that is removed in the end.
#[derive(Debug)]
pub(super) struct Overlay {
    pub(super) roots: Vec<PathBuf>,
    folder: TempDir,
}

impl Overlay {
    pub(super) fn new(roots: &[PathBuf], changes: &BTreeMap<Place, Change>) -> io::Result<Overlay> {
        let folder = tempfile::Builder::new().prefix("hippocamp-fix-").tempdir()?;
        let mut overlaid = Vec::new();
        for (number, root) in roots.iter().enumerate() {
            let root = std::path::absolute(root)?;
            // With the names of the real one, of which namespaces are made.
            let within = root.strip_prefix("/").unwrap_or(&root);
            let overlay = folder.path().join(number.to_string()).join(within);
            fs::create_dir_all(&overlay)?;
            for entry in fs::read_dir(&root)? {
                let entry = entry?;
                let change =
                    entry.file_name().to_str().and_then(|name| changes.get(&(number, name.to_owned())));
                let target = overlay.join(entry.file_name());
                match change.filter(|change| !change.is_empty()) {
                    Some(change) => model(&entry.path(), &target, change)?,
                    None => symlink(entry.path(), target)?,
                }
            }
            overlaid.push(overlay);
        }
        Ok(Overlay { roots: overlaid, folder })
    }

    /// A message with the real paths, which are those of the overlay behind its folder.
    pub(super) fn with_real_paths(&self, message: &str) -> String {
        let before = |number: usize| format!("{}/", self.folder.path().join(number.to_string()).display());
        (0..self.roots.len())
            .fold(message.to_owned(), |message, number| message.replace(&before(number), "/"))
    }
}

/// A model's folder with its changes.
fn model(real: &Path, target: &Path, change: &Change) -> io::Result<()> {
    let moved: Vec<&Path> = change.moves.iter().map(|(from, _)| from.as_path()).collect();
    links(real, target, Path::new(""), change.config.as_deref(), &moved)?;
    if let Some(config) = &change.config {
        fs::write(target.join(config), &change.after)?;
    }
    for (from, to) in &change.moves {
        let to = target.join(to);
        fs::create_dir_all(to.parent().unwrap_or(target))?;
        symlink(real.join(from), to)?;
    }
    Ok(())
}

/// Links to all that is in a folder, but for the config, which is left out with its folders made, and for files that are moved.
fn links(
    real: &Path,
    target: &Path,
    within: &Path,
    config: Option<&Path>,
    moved: &[&Path],
) -> io::Result<()> {
    fs::create_dir_all(target.join(within))?;
    for entry in fs::read_dir(real.join(within))? {
        let entry = entry?;
        let path = within.join(entry.file_name());
        if config == Some(path.as_path()) || moved.contains(&path.as_path()) {
            continue;
        }
        if config.is_some_and(|config| config.starts_with(&path)) {
            links(real, target, &path, config, moved)?;
        } else {
            symlink(entry.path(), target.join(&path))?;
        }
    }
    Ok(())
}
