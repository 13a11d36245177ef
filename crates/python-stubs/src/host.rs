//! What a host has in the folder of shared memory: its mark, and regions with names by which they are known to be its.
//!
//! The mark is an empty file that the host holds a lock on. The kernel gives the lock up when the host ends, however it ends,
//! so that the mark of a host that is gone can be locked by others; no process numbers are compared, which differ between
//! containers and come again.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::processes;
use crate::stub::Stub;

/// The name of a mark ends so.
const MARK: &str = ".host";
/// The length of what tells hosts apart.
const ID_LENGTH: usize = 16;

/// This process as a host of stubs. Dropped, its mark is gone, and what its stubs have left.
#[derive(Debug)]
pub struct Host {
    folder: PathBuf,
    mark: PathBuf,
    region_prefix: String,
    /// Holds the lock.
    _lock: File,
}

impl Host {
    /// Sweeps up behind hosts that are gone, and marks this one. `prefix` is how the names of its regions are to begin, and those
    /// of the hosts that are looked for.
    ///
    /// # Errors
    /// The mark cannot be written.
    pub fn begin(folder: &Path, prefix: &str) -> io::Result<Host> {
        if prefix.contains('/') {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a name in shared memory has no '/'"));
        }
        sweep(folder, prefix);
        loop {
            let id = format!("{:016x}", fastrand::u64(..));
            let mark = folder.join(format!("{prefix}{id}{MARK}"));
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&mark)?;
            file.lock()?;
            // Who swept between the two lines above took it for the mark of a host that is gone.
            if file.metadata()?.nlink() > 0 {
                let region_prefix = format!("{prefix}{id}_");
                return Ok(Host { folder: folder.to_owned(), mark, region_prefix, _lock: file });
            }
        }
    }

    /// How the names of this host's regions begin: the backend's setting `shm-region-prefix-name`.
    pub fn region_prefix(&self) -> &str {
        &self.region_prefix
    }

    /// The stub of an instance, which the backend has started; `None` if it is not found. One that was returned before is not
    /// returned again while it lives. `version` is the folder of the model's version, which tells versions apart whose instances
    /// have the same names.
    pub fn stub_of(&self, instance: &str, version: &Path) -> Option<Stub> {
        Stub::find(&self.region_prefix, instance, version)
    }
}

impl Host {
    /// Removes a region of a stub that has ended, for a backend that will not do it. It is gone when nobody has it mapped any more.
    pub fn remove_region(&self, region: &str) {
        if region.starts_with(&self.region_prefix) && !region.contains('/') {
            // The backend may have done it.
            drop(fs::remove_file(self.folder.join(region)));
        }
    }

    /// Removes the mark and all regions: the host ends, whatever still has parts of it.
    pub fn end(&self) {
        remove_regions(&self.folder, &self.region_prefix);
        match fs::remove_file(&self.mark) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                warn!("failed to remove {}: {error}", self.mark.display());
            }
            _ => {}
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.end();
    }
}

/// Ends the stubs of hosts that are gone, and removes their regions.
fn sweep(folder: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(|name| id_of_mark(name, prefix)) else { continue };
        let mark = entry.path();
        let Some(file) = open_mark(&mark) else { continue };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => continue,
            Err(TryLockError::Error(error)) => {
                warn!("failed to lock {}: {error}", mark.display());
                continue;
            }
        }
        // Another server, which begins at the same time, has swept here since this one opened the mark.
        if file.metadata().is_ok_and(|about| about.nlink() == 0) {
            continue;
        }
        let region_prefix = format!("{prefix}{id}_");
        let stubs = processes::end_all(&region_prefix);
        let regions = remove_regions(folder, &region_prefix);
        info!(stubs, regions, "a server was killed; what its Python models have left is removed");
        if let Err(error) = fs::remove_file(&mark) {
            warn!("failed to remove {}: {error}", mark.display());
        }
    }
}

/// Opens a mark, which is a file of this user's. Everybody may put something else in its place, such as a FIFO, for which an
/// open waits.
fn open_mark(mark: &Path) -> Option<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().write(true).custom_flags(flags).open(mark).ok()?;
    let about = file.metadata().ok()?;
    (about.is_file() && about.uid() == rustix::process::geteuid().as_raw()).then_some(file)
}

/// What tells the host of a mark from others; `None` if that is the name of something else.
fn id_of_mark<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let id = name.strip_prefix(prefix)?.strip_suffix(MARK)?;
    (id.len() == ID_LENGTH && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

/// Removes the regions whose names begin so, and returns how many there were.
fn remove_regions(folder: &Path, region_prefix: &str) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let mut removed = 0;
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(region_prefix));
        if !is_ours {
            continue;
        }
        match fs::remove_file(entry.path()) {
            Ok(()) => removed += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => warn!("failed to remove {}: {error}", entry.path().display()),
        }
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "test_region_";

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_a_live_host_has_stays_and_what_a_dead_one_has_left_goes() {
        let folder = tempfile::tempdir().unwrap();
        let live = Host::begin(folder.path(), PREFIX).unwrap();
        let of_live = format!("{}1234", live.region_prefix());
        let dead = "0123456789abcdef";
        let others =
            ["test_region_other", "triton_python_backend_shm_region_1", "test_region_0123456789abcde.host"];
        let left =
            [format!("{PREFIX}{dead}{MARK}"), format!("{PREFIX}{dead}_a"), format!("{PREFIX}{dead}_b")];
        for name in others.iter().map(|name| (*name).to_owned()).chain([of_live.clone()]).chain(left.clone())
        {
            File::create(folder.path().join(name)).unwrap();
        }
        let second = Host::begin(folder.path(), PREFIX).unwrap();
        let there = names(folder.path());
        for name in left {
            assert!(!there.contains(&name), "{name}");
        }
        for name in others {
            assert!(there.iter().any(|there| there == name), "{name}");
        }
        assert!(there.contains(&of_live));
        assert_ne!(live.region_prefix(), second.region_prefix());

        live.remove_region("test_region_other");
        live.remove_region(&of_live);
        assert!(!names(folder.path()).contains(&of_live), "a region of its own");
        File::create(folder.path().join(&of_live)).unwrap();
        live.end();
        assert!(!names(folder.path()).contains(&of_live), "the regions of a host that ends go with it");
        drop(live);
        drop(second);
        assert_eq!(names(folder.path()).len(), others.len());
    }

    #[test]
    fn a_link_in_the_place_of_a_mark_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        File::create(&target).unwrap();
        let link = folder.path().join(format!("{PREFIX}0123456789abcdef{MARK}"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        drop(Host::begin(folder.path(), PREFIX).unwrap());
        assert!(link.is_symlink() && target.is_file());
    }

    #[test]
    fn a_fifo_in_the_place_of_a_mark_stops_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join(format!("{PREFIX}0123456789abcdef{MARK}"));
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        // One that somebody reads can be opened, too.
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK;
        let reader = rustix::fs::open(&fifo, flags, rustix::fs::Mode::empty()).unwrap();
        drop(Host::begin(folder.path(), PREFIX).unwrap());
        drop(reader);
        drop(Host::begin(folder.path(), PREFIX).unwrap());
        assert!(fifo.symlink_metadata().is_ok(), "it is not ours to remove");
    }

    #[test]
    fn a_prefix_leads_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Host::begin(folder.path(), "../x").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
