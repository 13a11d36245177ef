//! Watches the folders of repositories and models for file events of the kernel (inotify).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tracing::warn;

use crate::open_files::open_for_writing;
use crate::writing::Writing;

/// The repository or the model that a watched folder belongs to. A repository is identified by its index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    Repository(usize),
    /// The index of the repository, and the name of the model's folder in it.
    Model(usize, String),
}

/// The changes since the last call of [`FolderEvents::take`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FolderChanges {
    /// Events were lost, so everything has to be scanned.
    pub everything: bool,
    /// The models that have changes, by repository and folder.
    pub models: BTreeSet<(usize, String)>,
    /// The repositories of which a link on their path changed.
    pub repositories: BTreeSet<usize>,
}

/// Watches folders one by one, not recursively, since a scan has to follow the links to find the folders of a model. In a
/// folder that a link only passes through, events of one name count.
///
/// It has one descriptor and one thread, and needs about a kilobyte of kernel memory for each folder. The number of watches is
/// limited, and some file systems report no events; changes there are found by periodic scans only.
#[derive(Debug)]
pub struct FolderWatch {
    watcher: Option<RecommendedWatcher>,
    shared: Arc<Shared>,
    folders: BTreeMap<Owner, BTreeSet<PathBuf>>,
    /// The folders that are watched since the last call of [`FolderWatch::find_open_files`].
    new: BTreeSet<PathBuf>,
    /// Whether a failure was logged. Further folders fail for the same reason, so it is logged once.
    failure_logged: bool,
}

/// The state that the thread of the kernel events shares with [`FolderEvents`].
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    noticed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The watched folders by resolved path, with which the paths of events begin.
    watched: HashMap<PathBuf, Watched>,
    noticed: FolderChanges,
    writing: Writing,
    /// Folders in which files were created. A created file is not necessarily open: it may be a hard link.
    created_in: BTreeSet<PathBuf>,
}

/// The owners of a watched folder.
#[derive(Debug, Default)]
struct Watched {
    /// Owners for which all events in the folder count.
    whole: BTreeSet<Owner>,
    /// Owners for which only the events of one name count.
    names: HashMap<OsString, BTreeSet<Owner>>,
}

impl FolderWatch {
    /// A watch without any folders yet.
    #[allow(clippy::new_without_default, reason = "it starts a thread")]
    pub fn new() -> FolderWatch {
        let shared = Arc::new(Shared::default());
        let tell = Arc::clone(&shared);
        let watcher = notify::recommended_watcher(move |event| tell.take(event));
        let watcher = watcher.inspect_err(|e| {
            warn!("changes are found by looking alone, as the system does not tell of them: {e}");
        });
        let failure_logged = watcher.is_err();
        FolderWatch {
            watcher: watcher.ok(),
            shared,
            folders: BTreeMap::new(),
            new: BTreeSet::new(),
            failure_logged,
        }
    }

    /// A watch that never reports an event, for file systems without events.
    pub fn disabled() -> FolderWatch {
        let (folders, new) = (BTreeMap::new(), BTreeSet::new());
        FolderWatch { watcher: None, shared: Arc::default(), folders, new, failure_logged: true }
    }

    /// Replaces the folders of an owner. `folders` are watched as a whole. Of `link_points`, paths whose parent is resolved, the name
    /// alone is watched; it need not exist yet. Events in a new folder before this call were not received;
    /// [`FolderWatch::find_open_files`] finds the writes that still go on there.
    pub fn set(&mut self, owner: &Owner, folders: &[PathBuf], link_points: &[PathBuf]) {
        let whole: BTreeSet<PathBuf> =
            folders.iter().filter_map(|folder| fs::canonicalize(folder).ok()).collect();
        let link_points: BTreeMap<&Path, Vec<&OsStr>> = by_folder(link_points);
        let new: BTreeSet<PathBuf> =
            whole.iter().cloned().chain(link_points.keys().map(|&folder| folder.to_owned())).collect();
        let old = self.folders.remove(owner).unwrap_or_default();
        let mut unused = Vec::new();
        {
            let mut state = self.shared.state();
            for folder in &old {
                if state.watched.get_mut(folder).is_some_and(|watched| watched.forget(owner))
                    && !new.contains(folder)
                {
                    state.watched.remove(folder);
                    unused.push(folder.clone());
                }
            }
            for folder in &whole {
                state.watched.entry(folder.clone()).or_default().whole.insert(owner.clone());
            }
            for (folder, names) in link_points {
                let watched = &mut state.watched.entry(folder.to_owned()).or_default().names;
                for name in names {
                    watched.entry(name.to_owned()).or_default().insert(owner.clone());
                }
            }
        }
        for folder in unused {
            if let Some(watcher) = &mut self.watcher {
                // Most of these folders were removed, which ended their watch as well.
                drop(watcher.unwatch(&folder));
            }
        }
        // Known folders are watched again, as another folder may have the same path now.
        for folder in &new {
            self.watch(folder);
        }
        if let (Owner::Model(..), Some(_)) = (owner, &self.watcher) {
            self.new.extend(new.difference(&old).cloned());
        }
        if !new.is_empty() {
            self.folders.insert(owner.clone(), new);
        }
    }

    /// Finds files that are open for writing in newly watched folders, and in those where files were created. It is called
    /// once after many calls of [`FolderWatch::set`].
    pub fn find_open_files(&mut self) {
        let mut new = std::mem::take(&mut self.new);
        // The lock is held meanwhile, so that the event of a file that is closed right now is handled afterwards.
        let mut state = self.shared.state();
        new.append(&mut state.created_in);
        let now = Instant::now();
        for file in open_for_writing(&new) {
            if !state.about(&file).is_nothing() {
                state.writing.written(&file, now);
            }
        }
    }

    fn watch(&mut self, folder: &Path) {
        let Some(watcher) = &mut self.watcher else { return };
        match watcher.watch(folder, RecursiveMode::NonRecursive) {
            Err(e) if !self.failure_logged && folder.is_dir() => {
                self.failure_logged = true;
                warn!(
                    "changes in some folders are found by looking alone, as the system does not tell of them, the \
                     first is '{}': {e}",
                    folder.display()
                );
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// The receiver of the events, which can be used independently of the watch.
    pub fn events(&self) -> FolderEvents {
        FolderEvents(Arc::clone(&self.shared))
    }
}

/// The receiver of the events of a [`FolderWatch`].
#[derive(Clone, Debug)]
pub struct FolderEvents(Arc<Shared>);

impl FolderEvents {
    /// Completes when there are changes to take.
    pub async fn changed(&self) {
        self.0.noticed.notified().await;
    }

    /// The changes since the last call.
    pub fn take(&self) -> FolderChanges {
        std::mem::take(&mut self.0.state().noticed)
    }

    /// The models of which a file is being written at `now`.
    pub fn being_written(&self, now: Instant) -> BTreeSet<(usize, String)> {
        let State { watched, writing, .. } = &mut *self.0.state();
        writing.files(now).flat_map(|file| about(watched, file).models).collect()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave the state inconsistent, so a poisoned lock can be used.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Handles an event, on the thread of the kernel events.
    fn take(&self, event: notify::Result<Event>) {
        let mut state = self.state();
        let is_relevant = if let Ok(event) = event {
            state.take(&event, Instant::now())
        } else {
            state.noticed.everything = true;
            true
        };
        drop(state);
        if is_relevant {
            self.noticed.notify_one();
        }
    }
}

impl State {
    /// Records an event. Returns false if it is of no interest, as most are: they report that a file was read.
    fn take(&mut self, event: &Event, now: Instant) -> bool {
        if event.need_rescan() {
            self.noticed.everything = true;
            return true;
        }
        let mut is_relevant = false;
        for path in &event.paths {
            let about = self.about(path);
            // In a folder that a link passes through, unrelated files may be written.
            let is_ours = !about.is_nothing();
            match event.kind {
                EventKind::Access(AccessKind::Close(AccessMode::Write)) => self.writing.ended(path),
                EventKind::Access(_) => return false,
                EventKind::Create(CreateKind::File) if is_ours => {
                    self.created_in.extend(path.parent().map(Path::to_owned));
                }
                EventKind::Modify(ModifyKind::Data(_)) if is_ours => self.writing.written(path, now),
                EventKind::Modify(ModifyKind::Name(_)) | EventKind::Remove(_) => {
                    self.writing.ended_below(path);
                }
                _ => {}
            }
            is_relevant |= is_ours;
            self.noticed.models.extend(about.models);
            self.noticed.repositories.extend(about.repositories);
        }
        is_relevant
    }

    fn about(&self, path: &Path) -> About {
        about(&self.watched, path)
    }
}

impl Watched {
    /// Removes an owner. Returns true if the folder has no other owner.
    fn forget(&mut self, owner: &Owner) -> bool {
        self.whole.remove(owner);
        self.names.retain(|_, owners| {
            owners.remove(owner);
            !owners.is_empty()
        });
        self.whole.is_empty() && self.names.is_empty()
    }
}

/// The models and repositories that an event at a path affects.
#[derive(Default)]
struct About {
    models: BTreeSet<(usize, String)>,
    repositories: BTreeSet<usize>,
}

impl About {
    fn is_nothing(&self) -> bool {
        self.models.is_empty() && self.repositories.is_empty()
    }

    /// Adds an owner.
    fn add(&mut self, owner: &Owner) {
        match owner {
            Owner::Repository(repository) => drop(self.repositories.insert(*repository)),
            Owner::Model(repository, folder) => drop(self.models.insert((*repository, folder.clone()))),
        }
    }
}

fn about(watched: &HashMap<PathBuf, Watched>, path: &Path) -> About {
    let mut about = About::default();
    if let (Some(folder), Some(name)) = (path.parent(), path.file_name())
        && let Some(folder) = watched.get(folder)
    {
        for owner in &folder.whole {
            match (owner, name.to_str()) {
                (Owner::Repository(repository), Some(name)) => {
                    about.models.insert((*repository, name.to_owned()));
                }
                (Owner::Repository(_), None) => {}
                (Owner::Model(..), _) => about.add(owner),
            }
        }
        folder.names.get(name).into_iter().flatten().for_each(|owner| about.add(owner));
    }
    // The event is one of the folder itself. For the folder of a repository, the next scan finds whether it can be read.
    if let Some(itself) = watched.get(path) {
        let models = itself.whole.iter().filter(|owner| matches!(owner, Owner::Model(..)));
        models.chain(itself.names.values().flatten()).for_each(|owner| about.add(owner));
    }
    about
}

/// Groups the paths by their parent folder.
fn by_folder(paths: &[PathBuf]) -> BTreeMap<&Path, Vec<&OsStr>> {
    let mut folders = BTreeMap::<_, Vec<_>>::new();
    for path in paths {
        if let (Some(folder), Some(name)) = (path.parent(), path.file_name()) {
            folders.entry(folder).or_default().push(name);
        }
    }
    folders
}

#[cfg(test)]
mod tests;
