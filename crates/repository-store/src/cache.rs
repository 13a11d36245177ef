//! The local folder that a repository's objects are kept in, and the snapshots made of them.
//!
//! `MODEL/objects` has every object of the model under a name made of its key and etag, so that one that did not change
//! is not fetched again. `MODEL/snapshots` has a folder for each content that was served, hard links to the objects. Both
//! only ever get whole files, by renaming.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hippocamp_repository::{RemoteFault, Snapshot, TemporaryFolder};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::error::disk;
use crate::listing::{ListedObject, ModelListing};
use crate::{StoreError, StoreLocation};

/// Files under construction begin with this. No object's name does.
pub(crate) const PARTIAL: &str = ".part-";

/// The cache of one repository.
#[derive(Debug)]
pub(crate) struct Cache {
    path: PathBuf,
    /// Locked for as long as this process uses the folder.
    _lock: File,
    /// Goes with the cache, unless the user named a folder of his own.
    temporary: Mutex<Option<TemporaryFolder>>,
}

impl Cache {
    /// Opens the cache of a repository in `folder`, which has to be there, or in a temporary one. What an earlier process
    /// left in a named folder is used again.
    pub(crate) fn open(location: &StoreLocation, folder: Option<&Path>) -> Result<Cache, StoreError> {
        let failed = |path: &Path, reason: String| StoreError::Cache {
            url: location.url.clone(),
            path: path.to_owned(),
            reason,
        };
        let (path, temporary) = match folder {
            Some(folder) if !folder.is_dir() => {
                return Err(failed(folder, "it is not there; make it, or name another".to_owned()));
            }
            Some(folder) => (folder.join(folder_name(location)), None),
            None => {
                let made = TemporaryFolder::new();
                let made = made.map_err(|e| failed(&std::env::temp_dir(), e.to_string()))?;
                (made.path().join(folder_name(location)), Some(made))
            }
        };
        let io = |e: io::Error| failed(&path, e.to_string());
        fs::create_dir_all(&path).map_err(io)?;
        let lock = File::create(path.join(".lock")).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(failed(&path, "another process uses it; name another".to_owned()));
            }
            Err(TryLockError::Error(e)) => return Err(io(e)),
        }
        let cache = Cache { path, _lock: lock, temporary: Mutex::new(temporary) };
        cache.clear_leftovers().map_err(|e| failed(&cache.path, e.to_string()))?;
        Ok(cache)
    }

    /// Removes the folder, if it is a temporary one.
    pub(crate) fn close(&self) {
        drop(self.temporary.lock().take());
    }

    /// Removes the snapshots and the unfinished files of an earlier process. Its objects stay, and new snapshots of them
    /// cost nothing.
    fn clear_leftovers(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let model = entry?.path();
            let (snapshots, objects) = (model.join("snapshots"), model.join("objects"));
            if snapshots.is_dir() {
                fs::remove_dir_all(snapshots)?;
            }
            if objects.is_dir() {
                for object in fs::read_dir(objects)? {
                    let object = object?;
                    if object.file_name().as_encoded_bytes().starts_with(PARTIAL.as_bytes()) {
                        fs::remove_file(object.path())?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The part of one model, whose name was checked.
    pub(crate) fn model(&self, name: &str) -> Arc<ModelCache> {
        let path = self.path.join(name);
        Arc::new(ModelCache { path, wanted: Mutex::default(), snapshots: AtomicU64::new(0) })
    }
}

/// A readable name that no two locations share.
fn folder_name(location: &StoreLocation) -> String {
    let readable: String = location
        .bucket_name()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(64)
        .collect();
    format!("{readable}-{}", &hex(&Sha256::digest(&location.url))[..16])
}

/// What is kept of one model.
#[derive(Debug)]
pub(crate) struct ModelCache {
    path: PathBuf,
    /// The objects of the latest snapshot, and of the one that is being fetched: they are not swept away.
    wanted: Mutex<BTreeSet<String>>,
    /// Numbers the snapshots' folders.
    snapshots: AtomicU64,
}

impl ModelCache {
    /// Where an object is kept, once it is here.
    pub(crate) fn object_path(&self, object: &ListedObject) -> PathBuf {
        self.objects().join(object_name(object))
    }

    /// The objects' folder; files under construction lie there, too, under names that no object has.
    pub(crate) fn objects(&self) -> PathBuf {
        self.path.join("objects")
    }

    /// Makes the folder, and names the files of the listing that are not here. From here on nothing of the listing is
    /// swept away.
    pub(crate) fn missing<'a>(
        &self,
        listing: &'a ModelListing,
    ) -> Result<Vec<&'a ListedObject>, RemoteFault> {
        let objects = self.objects();
        fs::create_dir_all(&objects).map_err(|e| disk(&objects, &e))?;
        self.wanted.lock().extend(listing.files.values().map(object_name));
        let is_here = |object: &ListedObject| {
            fs::metadata(self.object_path(object)).is_ok_and(|m| m.len() == object.size)
        };
        Ok(listing.files.values().filter(|object| !is_here(object)).collect())
    }

    /// Makes a snapshot of objects that are all here, and lets go of those that no snapshot needs any more.
    pub(crate) fn snapshot(self: &Arc<Self>, listing: &ModelListing) -> Result<StoreSnapshot, RemoteFault> {
        // Locked to the end: a sweep in between could take what is about to be linked.
        let mut wanted = self.wanted.lock();
        let number = self.snapshots.fetch_add(1, Ordering::Relaxed);
        let snapshots = self.path.join("snapshots");
        let building = snapshots.join(format!(".{number}"));
        let path = snapshots.join(number.to_string());
        let made = self.build(listing, &building).and_then(|()| fs::rename(&building, &path));
        if let Err(e) = made {
            drop(fs::remove_dir_all(&building));
            return Err(disk(&path, &e));
        }
        *wanted = listing.files.values().map(object_name).collect();
        let snapshot = StoreSnapshot { cache: Arc::clone(self), path };
        self.sweep(&wanted);
        Ok(snapshot)
    }

    fn build(&self, listing: &ModelListing, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        for version in &listing.empty_versions {
            fs::create_dir(folder.join(version))?;
        }
        for (path, object) in &listing.files {
            let (from, to) = (self.object_path(object), folder.join(path));
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent)?;
            }
            match fs::hard_link(&from, &to) {
                // A file system without links.
                Err(e) if matches!(e.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
                    fs::copy(&from, &to)?;
                }
                linked => linked?,
            }
        }
        Ok(())
    }

    /// Removes the objects that neither the latest snapshot nor one that still lives has.
    fn sweep(&self, wanted: &BTreeSet<String>) {
        let Ok(entries) = fs::read_dir(self.objects()) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let needed = |name: &str| name.starts_with(PARTIAL) || wanted.contains(name);
            // One link: the object itself. More: a snapshot has it.
            if !name.to_str().is_some_and(needed)
                && entry.metadata().is_ok_and(|m| m.is_file() && m.nlink() == 1)
            {
                drop(fs::remove_file(entry.path()));
            }
        }
    }
}

/// One folder with a model as it was. Removed when nobody holds it.
#[derive(Debug)]
pub(crate) struct StoreSnapshot {
    cache: Arc<ModelCache>,
    path: PathBuf,
}

impl Snapshot for StoreSnapshot {
    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for StoreSnapshot {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.path));
        // If another snapshot is being made this very moment, that sweeps in the end.
        if let Some(wanted) = self.cache.wanted.try_lock() {
            self.cache.sweep(&wanted);
        }
    }
}

/// The same for the same content under the same key, and a plain file name whatever the key is.
fn object_name(object: &ListedObject) -> String {
    let mut hash = Sha256::new();
    for part in [object.key.as_bytes(), object.identity.as_bytes()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        // Writing into a String never fails.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests;
