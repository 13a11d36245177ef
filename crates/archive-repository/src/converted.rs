//! What archives become, kept until they change: to find out may read a whole model file.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hippocamp_archive::{Archive, Conversion, Manifest, Options, convert};
use hippocamp_files as files;
use hippocamp_repository::Fingerprint;
use parking_lot::Mutex;

use crate::stamp::stamp;

/// An archive at one moment, and what it becomes with some options.
#[derive(Debug)]
pub(crate) struct Converted {
    pub(crate) path: PathBuf,
    pub(crate) stamp: Fingerprint,
    /// `None` if the manifest cannot be read.
    pub(crate) manifest: Option<Manifest>,
    /// The error says why it cannot be served.
    pub(crate) conversion: Result<Conversion, String>,
}

/// The conversions of all archives that were asked for last.
#[derive(Debug, Default)]
pub(crate) struct Conversions(Mutex<HashMap<(PathBuf, Options), Arc<Converted>>>);

impl Conversions {
    /// What an archive becomes. Blocks on the disk.
    pub(crate) fn of(&self, path: &Path, options: &Options, backends: &[String]) -> Arc<Converted> {
        let key = (path.to_owned(), options.clone());
        let stamp = stamp(path);
        let is_same = |kept: &&Arc<Converted>| match &stamp {
            Ok(stamp) => kept.stamp == *stamp,
            // What cannot be seen for a moment has not changed.
            Err(error) => !files::is_gone(path, error),
        };
        if let Some(kept) = self.0.lock().get(&key).filter(is_same) {
            return Arc::clone(kept);
        }
        let stamp = stamp.unwrap_or_default();
        let supports = |name: &str| backends.iter().any(|backend| backend == name);
        let (manifest, conversion) = match Archive::open(path) {
            Err(fault) => (None, Err(fault.to_string())),
            Ok(archive) => {
                let conversion = convert(&archive, options, &supports).map_err(|fault| fault.to_string());
                (Some(archive.manifest().clone()), conversion)
            }
        };
        let converted = Arc::new(Converted { path: path.to_owned(), stamp, manifest, conversion });
        self.0.lock().insert(key, Arc::clone(&converted));
        converted
    }

    /// Forgets all but these.
    pub(crate) fn keep(&self, wanted: &HashSet<(PathBuf, Options)>) {
        self.0.lock().retain(|key, _| wanted.contains(key));
    }

    /// How many are kept.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.0.lock().len()
    }
}
