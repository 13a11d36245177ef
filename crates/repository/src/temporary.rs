//! Temporary folders with files of models. Each goes when nobody uses it any more; what a process that was killed has left goes when the
//! next one makes its first.
//!
//! All those of a process are in one folder, with a file that it holds a lock on. The kernel gives the lock up when the process ends,
//! however it ends. A folder on the disk of another machine may look as if its process had ended: so the file says since which start of
//! which machine it is.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tempfile::TempDir;
use tracing::{info, warn};

/// The name of a process's folder begins so.
const PREFIX: &str = "hippocamp-models-";
/// The file with the lock, of which there is none before it is locked.
const MARK: &str = ".in-use";
/// What the kernel calls the time since the machine was started.
const START: &str = "/proc/sys/kernel/random/boot_id";

/// That of this process, while one of its temporary folders is there.
static OWN: Own = Own::new(Weak::new());

type Own = Mutex<Weak<OfProcess>>;

/// A temporary folder, in the one that `TMPDIR` names or `/tmp`. Only this user can read it. It is deleted when it is dropped.
#[derive(Debug)]
pub struct TemporaryFolder {
    folder: TempDir,
    // Goes behind the other.
    _within: Arc<OfProcess>,
}

#[derive(Debug)]
struct OfProcess {
    folder: TempDir,
    _locked: Option<File>,
}

impl TemporaryFolder {
    /// Makes an empty one.
    ///
    /// # Errors
    /// The folder for temporary files is not there, or cannot be written.
    pub fn new() -> io::Result<TemporaryFolder> {
        TemporaryFolder::of(&OWN, &env::temp_dir())
    }

    fn of(own: &Own, place: &Path) -> io::Result<TemporaryFolder> {
        let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
        let within = if let Some(within) = own.upgrade() {
            within
        } else {
            let within = Arc::new(OfProcess::new(place)?);
            *own = Arc::downgrade(&within);
            within
        };
        let folder = TempDir::with_prefix_in("", within.folder.path())?;
        Ok(TemporaryFolder { folder, _within: within })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl OfProcess {
    fn new(place: &Path) -> io::Result<OfProcess> {
        let folder = TempDir::with_prefix_in(PREFIX, place)?;
        let start = fs::read(START).unwrap_or_default();
        // Where there are no locks, or no start, nothing is known of others, nor do they know of this one.
        let locked = marked(folder.path(), &start);
        if locked.is_some() {
            sweep(place, &start, folder.path().metadata()?.uid());
        }
        Ok(OfProcess { folder, _locked: locked })
    }
}

/// The mark of a folder, locked.
fn marked(folder: &Path, start: &[u8]) -> Option<File> {
    let mut mark = File::create_new(folder.join(MARK)).ok().filter(|_| !start.is_empty())?;
    mark.try_lock().ok()?;
    mark.write_all(start).ok()?;
    Some(mark)
}

/// Deletes the folders of this user's processes on this machine that have ended.
fn sweep(place: &Path, start: &[u8], user: u32) {
    let Ok(entries) = fs::read_dir(place) else { return };
    for entry in entries.flatten() {
        // Of a link, this is the link.
        let is_own = || entry.metadata().is_ok_and(|about| about.is_dir() && about.uid() == user);
        if !entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) || !is_own() {
            continue;
        }
        let folder = entry.path();
        let Some(_locked) = left(&folder, start) else { continue };
        match fs::remove_dir_all(&folder) {
            Ok(()) => info!("deleted {}, which a server has left that was killed", folder.display()),
            Err(error) => warn!(
                "failed to delete {}, which a server has left that was killed: {error}",
                folder.display()
            ),
        }
    }
}

/// The mark of a folder whose process has ended, locked.
fn left(folder: &Path, start: &[u8]) -> Option<File> {
    let mut mark = File::open(folder.join(MARK)).ok()?;
    mark.try_lock().ok()?;
    let mut says = Vec::new();
    (&mut mark).take(1 << 10).read_to_end(&mut says).ok()?;
    // Another process that begins at the same time may have deleted it.
    (says == start && mark.metadata().ok()?.nlink() > 0).then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(place: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(place)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// A folder of a process that was killed, as of that start of the machine.
    fn killed(place: &Path, name: &str, start: &[u8]) {
        let folder = place.join(format!("{PREFIX}{name}"));
        fs::create_dir_all(folder.join("x/1")).unwrap();
        fs::write(folder.join("x/1/model.onnx"), "x").unwrap();
        drop(marked(&folder, start).unwrap());
    }

    #[test]
    fn each_goes_when_it_is_dropped_and_that_of_the_process_with_the_last() {
        let place = tempfile::tempdir().unwrap();
        let own = Own::default();
        let (one, other) = (
            TemporaryFolder::of(&own, place.path()).unwrap(),
            TemporaryFolder::of(&own, place.path()).unwrap(),
        );
        assert_eq!(names(place.path()).len(), 1);
        fs::write(one.path().join("file"), "x").unwrap();
        let path = one.path().to_owned();
        drop(one);
        assert!(!path.try_exists().unwrap() && other.path().is_dir());
        drop(other);
        assert_eq!(names(place.path()), [""; 0]);
        let again = TemporaryFolder::of(&own, place.path()).unwrap();
        assert!(again.path().is_dir());
    }

    #[test]
    fn what_a_killed_process_has_left_goes_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let start = fs::read(START).unwrap();
        let live = TemporaryFolder::of(&Own::default(), place.path()).unwrap();
        killed(place.path(), "killed", &start);
        killed(place.path(), "of-another-machine", b"1b4e28ba-2fa1-11d2-883f-0016d3cca427\n");
        // One that is being made, and a file.
        fs::create_dir(place.path().join(format!("{PREFIX}new"))).unwrap();
        File::create(place.path().join(format!("{PREFIX}new/{MARK}"))).unwrap();
        File::create(place.path().join(format!("{PREFIX}file"))).unwrap();
        let before = names(place.path());
        let next = TemporaryFolder::of(&Own::default(), place.path()).unwrap();
        let gone: Vec<_> =
            before.iter().filter(|name| !place.path().join(name).try_exists().unwrap()).collect();
        assert_eq!(gone, [&format!("{PREFIX}killed")]);
        assert!(live.path().is_dir() && next.path().is_dir());
    }

    #[test]
    fn a_link_to_what_somebody_has_left_is_not_followed() {
        let (place, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let start = fs::read(START).unwrap();
        killed(elsewhere.path(), "killed", &start);
        let link = place.path().join(format!("{PREFIX}link"));
        std::os::unix::fs::symlink(elsewhere.path().join(format!("{PREFIX}killed")), &link).unwrap();
        drop(TemporaryFolder::of(&Own::default(), place.path()).unwrap());
        assert!(link.join("x/1/model.onnx").is_file());
    }
}
