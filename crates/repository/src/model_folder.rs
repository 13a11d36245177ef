//! Reads the folder of one model: its config, its version folders, and the fingerprint of its content.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, DirEntry, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use hippocamp_files::{self as files, EnteredFolders};
use tracing::debug;

use crate::links::Links;

/// The folder of a model in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFolder {
    /// The name under which the model is served.
    pub name: String,
    /// The name of the folder, which the config has as well. It differs from `name` only if several repositories have a
    /// model of that name and the models are told apart by namespaces.
    pub folder_name: String,
    /// The namespace of the repository; `None` if namespaces are not used.
    pub namespace: Option<String>,
    pub path: PathBuf,
    /// The path of `config.pbtxt` or of the custom config; `None` if the model has no config.
    pub config_path: Option<PathBuf>,
    /// The numbers of the version folders.
    pub versions: BTreeSet<u64>,
    pub fingerprint: Fingerprint,
    /// Whether the files came with a client's load request: then no code in them is executed.
    pub came_with_request: bool,
}

/// A hash of the names, sizes, times and inode numbers of all files in a folder. If two fingerprints differ, the content
/// changed. A file that is replaced by one of the same size and modification time changes the fingerprint as well: its inode
/// number or its time of change (`ctime`), which programs cannot set, differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of content that is described by another value, such as the listing of an object store.
    pub fn of(content: &impl Hash) -> Fingerprint {
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        Fingerprint(hasher.finish())
    }

    /// The fingerprint of a single file.
    pub(crate) fn of_file(path: &Path) -> io::Result<Fingerprint> {
        let mut hasher = DefaultHasher::new();
        hash_file(&fs::metadata(path)?, &mut hasher);
        Ok(Fingerprint(hasher.finish()))
    }
}

impl ModelFolder {
    /// Reads the folder. `config_name` names the custom config, `configs/<config_name>.pbtxt`, which is used if it exists.
    pub fn read(name: &str, path: &Path, config_name: Option<&str>) -> io::Result<ModelFolder> {
        let mut versions = BTreeSet::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            // A version folder may be a link, which this call follows.
            if !fs::metadata(entry.path()).is_ok_and(|m| m.is_dir()) {
                continue;
            }
            match version_number(&entry.file_name()) {
                Some(version) => drop(versions.insert(version)),
                None if entry.file_name() == "configs" => {}
                None => debug!(model = name, folder = ?entry.file_name(), "ignored: not a version number"),
            }
        }
        let config_path = config_path(path, config_name);
        let fingerprint = Tree::walk(path)?.fingerprint;
        Ok(ModelFolder {
            name: name.to_owned(),
            folder_name: name.to_owned(),
            namespace: None,
            path: path.to_owned(),
            config_path,
            versions,
            fingerprint,
            came_with_request: false,
        })
    }

    /// Whether the fingerprint of the folder is still the same.
    pub fn is_unchanged(&self) -> bool {
        Tree::walk(&self.path).is_ok_and(|tree| tree.fingerprint == self.fingerprint)
    }

    /// Entries that are named like a version but are no folders, each with a description such as "a file". They cannot be
    /// loaded.
    pub fn misplaced_versions(&self) -> BTreeMap<u64, String> {
        let mut misplaced = BTreeMap::new();
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            if let Some(version) = version_number(&entry.file_name()).filter(|v| !self.versions.contains(v))
                && let Ok(found) = files::describe(&entry.path())
            {
                misplaced.insert(version, found);
            }
        }
        misplaced
    }

    /// The folder of one version.
    pub fn version_path(&self, version: u64) -> PathBuf {
        self.path.join(version.to_string())
    }
}

/// The path of the config in this folder.
pub(crate) fn config_path(folder: &Path, config_name: Option<&str>) -> Option<PathBuf> {
    let custom = config_name.map(|config| folder.join("configs").join(config).with_extension("pbtxt"));
    // An entry that cannot be read, such as a dangling link, counts: the error of reading it tells the user.
    let is_there = |candidate: &PathBuf| match fs::symlink_metadata(candidate) {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    };
    [custom, Some(folder.join("config.pbtxt"))].into_iter().flatten().find(is_there)
}

/// A version folder's name is a number from 1 up, without leading zeros.
fn version_number(name: &OsStr) -> Option<u64> {
    let name = name.to_str()?;
    let plain = !name.starts_with('0') && name.bytes().all(|b| b.is_ascii_digit());
    // One message of the protocol has the version as a signed number, so the largest signed number is the limit.
    plain.then(|| name.parse::<i64>().ok()?.try_into().ok())?
}

/// The content of a folder, with all folders below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tree {
    pub(crate) fingerprint: Fingerprint,
    /// The folder and all folders below it, including those that are reached by links; each once.
    pub(crate) folders: Vec<PathBuf>,
    /// The paths at which a change redirects one of its links, or the folder itself if it is a link; see [`Links`]. If there
    /// are too many links, only a part of them is followed.
    pub(crate) link_points: Vec<PathBuf>,
}

/// The limit of nested folders.
const MAX_DEPTH: usize = 16;
/// Where Python keeps what it compiled: a Python model writes it when it is loaded, so that it would be loaded again for it.
const PYTHON_CACHE: &str = "__pycache__";

impl Tree {
    /// Reads the metadata of all files; opens no file.
    pub(crate) fn walk(path: &Path) -> io::Result<Tree> {
        let mut walk = Walk {
            hasher: DefaultHasher::new(),
            folders: Vec::new(),
            links: Links::default(),
            entered: EnteredFolders::default(),
        };
        if fs::symlink_metadata(path)?.is_symlink() {
            walk.links.follow(path);
        }
        walk.entered.enter(&fs::metadata(path)?);
        walk.folder(path, MAX_DEPTH)?;
        let (fingerprint, link_points) = (Fingerprint(walk.hasher.finish()), walk.links.into_points());
        Ok(Tree { fingerprint, folders: walk.folders, link_points })
    }
}

struct Walk {
    hasher: DefaultHasher,
    folders: Vec<PathBuf>,
    links: Links,
    entered: EnteredFolders,
}

impl Walk {
    /// Hashes everything under `path` in a stable order.
    fn folder(&mut self, path: &Path, depth: usize) -> io::Result<()> {
        let mut entries: Vec<DirEntry> = fs::read_dir(path)?.collect::<io::Result<_>>()?;
        entries.retain(|entry| entry.file_name() != PYTHON_CACHE);
        entries.sort_by_key(DirEntry::file_name);
        self.folders.push(path.to_owned());
        let is_link = |entry: &&DirEntry| entry.file_type().is_ok_and(|kind| kind.is_symlink());
        let mut links = entries.iter().filter(is_link).peekable();
        if links.peek().is_some()
            && let Ok(resolved) = fs::canonicalize(path)
        {
            links.for_each(|link| self.links.follow_in(&resolved, &link.file_name()));
        }
        for entry in entries {
            entry.file_name().hash(&mut self.hasher);
            // A file that was removed since the folder was read is noticed by the next scan.
            let Ok(metadata) = fs::metadata(entry.path()) else { continue };
            if !metadata.is_dir() {
                hash_file(&metadata, &mut self.hasher);
            } else if depth > 0 {
                metadata.ino().hash(&mut self.hasher);
                if self.entered.enter(&metadata) {
                    self.folder(&entry.path(), depth - 1)?;
                }
            }
        }
        Ok(())
    }
}

fn hash_file(metadata: &Metadata, hasher: &mut DefaultHasher) {
    (metadata.dev(), metadata.ino(), metadata.len()).hash(hasher);
    (metadata.mtime(), metadata.mtime_nsec()).hash(hasher);
    (metadata.ctime(), metadata.ctime_nsec()).hash(hasher);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_numbers_are_versions() {
        for (name, version) in
            [("1", Some(1)), ("42", Some(42)), ("9223372036854775807", Some(i64::MAX as u64))]
        {
            assert_eq!(version_number(OsStr::new(name)), version);
        }
        for name in ["0", "01", "-1", "+1", "1a", "", "9223372036854775808", "configs"] {
            assert_eq!(version_number(OsStr::new(name)), None, "{name}");
        }
    }

    #[test]
    fn what_python_compiles_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let version = folder.path().join("1");
        fs::create_dir(&version).unwrap();
        fs::write(version.join("model.py"), "").unwrap();
        let before = Tree::walk(folder.path()).unwrap();
        fs::create_dir(version.join("__pycache__")).unwrap();
        fs::write(version.join("__pycache__/model.cpython-311.pyc"), "").unwrap();
        assert_eq!(Tree::walk(folder.path()).unwrap(), before);
        fs::write(version.join("helper.py"), "").unwrap();
        assert_ne!(Tree::walk(folder.path()).unwrap(), before);
    }

    #[test]
    fn links_in_a_circle_are_followed_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("1/parts")).unwrap();
        for link in ["a", "1/b", "1/parts/c"] {
            std::os::unix::fs::symlink(folder.path(), folder.path().join(link)).unwrap();
        }
        let tree = Tree::walk(folder.path()).unwrap();
        assert_eq!(tree.folders, ["", "1", "1/parts"].map(|path| folder.path().join(path)));
        fs::write(folder.path().join("1/parts/weights"), "").unwrap();
        assert_ne!(Tree::walk(folder.path()).unwrap().fingerprint, tree.fingerprint);
    }

    #[test]
    fn finds_versions_and_config_and_notices_changes() {
        let folder = tempfile::tempdir().unwrap();
        for sub in ["1", "3", "03", "configs"] {
            fs::create_dir(folder.path().join(sub)).unwrap();
        }
        fs::write(folder.path().join("7"), "a file, not a folder").unwrap();
        fs::write(folder.path().join("config.pbtxt"), "").unwrap();
        let read = |config| ModelFolder::read("m", folder.path(), config).unwrap();
        let before = read(None);
        assert_eq!(before.versions, BTreeSet::from([1, 3]));
        assert_eq!(before.config_path, Some(folder.path().join("config.pbtxt")));
        assert_eq!(before.misplaced_versions(), BTreeMap::from([(7, "a file".to_owned())]));
        std::os::unix::fs::symlink("nowhere", folder.path().join("8")).unwrap();
        assert_eq!(read(None).misplaced_versions()[&8], "a link to 'nowhere', which is not there");
        fs::remove_file(folder.path().join("8")).unwrap();
        let before = read(None);
        assert_eq!(before, read(Some("fast")), "without a custom config the usual one is used");

        for (entry, kind) in [("configs", "a folder"), ("nowhere", "a link to nowhere")] {
            let config = folder.path().join("config.pbtxt");
            fs::remove_file(&config).unwrap();
            std::os::unix::fs::symlink(entry, &config).unwrap();
            assert_eq!(read(None).config_path, Some(config), "{kind} is not passed over");
        }

        fs::write(folder.path().join("configs/fast.pbtxt"), "").unwrap();
        assert_eq!(read(Some("fast")).config_path, Some(folder.path().join("configs/fast.pbtxt")));
        assert_ne!(before.fingerprint, read(None).fingerprint);
    }
}
