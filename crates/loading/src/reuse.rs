//! Reuse across an edit of a config: a version whose files did not change is not loaded again for a setting that its engine does
//! not read.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, fs, io};

use hippocamp_backend::Model;
use hippocamp_files::EnteredFolders;
use hippocamp_model_config::ModelConfig;
use hippocamp_repository::ModelFolder;
use hippocamp_scheduler as scheduler;
use hippocamp_serving::LoadedModel;

/// A version that a backend loaded, with the config and the files that it was loaded from.
pub struct Opened {
    pub model: Arc<dyn Model>,
    /// The config before it was completed.
    pub written: ModelConfig,
    pub files: Files,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("files", &self.files).finish_non_exhaustive()
    }
}

/// A version that serves and may be reused.
#[derive(Clone, Debug)]
pub struct Reusable {
    pub model: Arc<LoadedModel>,
    pub opened: Arc<Opened>,
    pub stopped: scheduler::Stopped,
}

/// The files that a version was loaded from: those of its version folder, and those of the model's folder except for the config
/// and other versions. They are compared by name, size, times and inode number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    folder: PathBuf,
    /// By the path within the folder; `None` if the folder could not be read. Then it equals no other.
    found: Option<BTreeMap<PathBuf, Stat>>,
}

/// The metadata of one file. A file that replaces another has a different inode number, and one that was overwritten has a
/// different time of change (`ctime`), which programs cannot set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stat {
    size: u64,
    inode: (u64, u64),
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stat {
    fn of(metadata: &fs::Metadata) -> Stat {
        Stat {
            size: metadata.len(),
            inode: (metadata.dev(), metadata.ino()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Files {
    pub fn read(folder: &ModelFolder, version: u64) -> Files {
        let mut found = BTreeMap::new();
        let read = list(folder, version, &mut found);
        Files { folder: folder.path.clone(), found: read.ok().map(|()| found) }
    }

    /// Whether the files that an engine reads are the same as in `other`. Label files of both configs, `before` and `after` the
    /// edit, are left out, since the server reads them and not the engine.
    pub fn same_for_engine(&self, other: &Files, before: &ModelConfig, after: &ModelConfig) -> bool {
        let (Some(here), Some(there)) = (&self.found, &other.found) else { return false };
        let outputs = || before.output.iter().chain(&after.output);
        let is_engines = |path: &Path| outputs().all(|output| Path::new(&output.label_filename) != path);
        let engines = here.iter().filter(|(path, _)| is_engines(path));
        self.folder == other.folder && engines.eq(there.iter().filter(|(path, _)| is_engines(path)))
    }
}

fn list(folder: &ModelFolder, version: u64, found: &mut BTreeMap<PathBuf, Stat>) -> io::Result<()> {
    let mut open = BTreeSet::from([PathBuf::from(version.to_string())]);
    for entry in fs::read_dir(&folder.path)? {
        let name = PathBuf::from(entry?.file_name());
        let path = folder.path.join(&name);
        let is_config = folder.config_path.as_deref() == Some(&path) || name == Path::new("config.pbtxt");
        // Editors create temporary files beside the config.
        let bytes = name.as_os_str().as_encoded_bytes();
        let is_editors = bytes.starts_with(b".") || bytes.ends_with(b"~");
        let is_version = name.to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        if !is_config && !is_version && !is_editors && name != Path::new("configs") {
            open.insert(name);
        }
    }
    let mut entered = EnteredFolders::default();
    // In the order of names, so that it is always the same of several paths by which a folder is entered.
    while let Some(within) = open.pop_first() {
        let path = folder.path.join(&within);
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            // An ensemble or a model of a built-in backend may have no version folder.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if !metadata.is_dir() {
            found.insert(within, Stat::of(&metadata));
        } else if entered.enter(&metadata) {
            for entry in fs::read_dir(&path)? {
                open.insert(within.join(entry?.file_name()));
            }
        } else {
            // Its files are listed under the other path. What is in a folder does not matter here, but which one it is.
            found.insert(within, Stat { inode: Stat::of(&metadata).inode, ..Stat::default() });
        }
    }
    Ok(())
}

/// The versions in `serving` if the config or a file changed; none otherwise. A client that loads an unchanged model wants it
/// to be loaded again: its file may have been written in a way that the metadata do not show.
pub(crate) fn if_edited(
    serving: Vec<Reusable>,
    config: &ModelConfig,
    files: &BTreeMap<u64, Files>,
) -> Vec<Reusable> {
    let is_same = |reusable: &Reusable| {
        reusable.opened.written == *config
            && files.get(&reusable.model.version) == Some(&reusable.opened.files)
    };
    let unchanged = serving.len() == files.len() && serving.iter().all(is_same);
    if unchanged { Vec::new() } else { serving }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn folders_that_link_to_each_other_are_listed_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |path: &str| folder.path().join(path);
        fs::create_dir_all(path("1/parts")).unwrap();
        fs::write(path("1/parts/weights"), "1").unwrap();
        for link in ["1/a", "1/parts/b", "1/parts/c"] {
            symlink(path("1"), path(link)).unwrap();
        }
        let read = || Files::read(&ModelFolder::read("m", folder.path(), None).unwrap(), 1);
        let files = read();
        let names: Vec<_> =
            files.found.iter().flatten().map(|(path, _)| path.display().to_string()).collect();
        assert_eq!(names, ["1/a", "1/parts/b", "1/parts/c", "1/parts/weights"]);

        let config = ModelConfig::default();
        assert!(files.same_for_engine(&read(), &config, &config));
        fs::remove_file(path("1/a")).unwrap();
        symlink("parts", path("1/a")).unwrap();
        assert!(!files.same_for_engine(&read(), &config, &config), "it leads to another folder");
    }
}
