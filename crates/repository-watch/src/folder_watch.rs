//! Has the kernel tell what happens in the folders of repositories and models.

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

/// Whose folder it is. Repositories count by their place in the list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    Repository(usize),
    /// A model's folder, or one in it, by the model's folder in the repository.
    Model(usize, String),
}

/// What happened since the last question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noticed {
    /// Something may have been missed: everything has to be looked at.
    pub everything: bool,
    /// Models, by repository and folder.
    pub models: BTreeSet<(usize, String)>,
    /// Repositories to which links may lead another way now.
    pub repositories: BTreeSet<usize>,
}

/// Watches folders, each on its own: which belong to a model is known only from a look at it, links and all. Of a folder
/// that a link only leads through, a name alone counts.
///
/// Costs one descriptor and one thread, and in the kernel about a kilobyte a folder. Without any (their number is limited,
/// and some file systems have none) nothing is noticed, and looking has to do.
#[derive(Debug)]
pub struct FolderWatch {
    watcher: Option<RecommendedWatcher>,
    shared: Arc<Shared>,
    folders: BTreeMap<Owner, BTreeSet<PathBuf>>,
    /// Folders that are watched since [`FolderWatch::find_open_files`] was called last.
    new: BTreeSet<PathBuf>,
    /// A failure is told once: the next thousand folders would fail alike.
    told: bool,
}

/// Written by the thread of the watcher, read by whoever asks.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    noticed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Resolved folders: the kernel's tales begin with these paths.
    watched: HashMap<PathBuf, Watched>,
    noticed: Noticed,
    writing: Writing,
    /// Folders in which files were made. That does not tell whether somebody has them open: a link is made as well.
    made_in: BTreeSet<PathBuf>,
}

/// Whose a folder is that is watched.
#[derive(Debug, Default)]
struct Watched {
    /// Everything in it.
    whole: BTreeSet<Owner>,
    /// No more than these names in it.
    names: HashMap<OsString, BTreeSet<Owner>>,
}

impl FolderWatch {
    /// Watches nothing yet.
    #[allow(clippy::new_without_default, reason = "it starts a thread")]
    pub fn new() -> FolderWatch {
        let shared = Arc::new(Shared::default());
        let tell = Arc::clone(&shared);
        let watcher = notify::recommended_watcher(move |event| tell.take(event));
        let watcher = watcher.inspect_err(|e| {
            warn!("changes are found by looking alone, as the system does not tell of them: {e}");
        });
        let told = watcher.is_err();
        FolderWatch { watcher: watcher.ok(), shared, folders: BTreeMap::new(), new: BTreeSet::new(), told }
    }

    /// One that notices nothing, for file systems that tell of nothing.
    pub fn blind() -> FolderWatch {
        let (folders, new) = (BTreeMap::new(), BTreeSet::new());
        FolderWatch { watcher: None, shared: Arc::default(), folders, new, told: true }
    }

    /// From here on these are the owner's folders, however they are reached, and the names at which its links can be led
    /// elsewhere (paths whose folder is resolved; what is not there yet may come). Whatever happened in a new folder before
    /// this was not noticed; [`FolderWatch::find_open_files`] finds what is still going on there.
    pub fn set(&mut self, owner: &Owner, folders: &[PathBuf], hops: &[PathBuf]) {
        let whole: BTreeSet<PathBuf> =
            folders.iter().filter_map(|folder| fs::canonicalize(folder).ok()).collect();
        let hops: BTreeMap<&Path, Vec<&OsStr>> = by_folder(hops);
        let new: BTreeSet<PathBuf> =
            whole.iter().cloned().chain(hops.keys().map(|&folder| folder.to_owned())).collect();
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
            for (folder, names) in hops {
                let watched = &mut state.watched.entry(folder.to_owned()).or_default().names;
                for name in names {
                    watched.entry(name.to_owned()).or_default().insert(owner.clone());
                }
            }
        }
        for folder in unused {
            if let Some(watcher) = &mut self.watcher {
                // Most are gone, and their watch with them.
                drop(watcher.unwatch(&folder));
            }
        }
        // All, not only new ones: another folder may be there under the same name.
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

    /// Finds files that somebody has open for writing, in folders that were not watched before and in those where files
    /// were made. To be called once behind many calls of [`FolderWatch::set`].
    pub fn find_open_files(&mut self) {
        let mut new = std::mem::take(&mut self.new);
        // Locked meanwhile, so that a file which is closed behind the look is not forgotten to be closed.
        let mut state = self.shared.state();
        new.append(&mut state.made_in);
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
            Err(e) if !self.told && folder.is_dir() => {
                self.told = true;
                warn!(
                    "changes in some folders are found by looking alone, as the system does not tell of them, the \
                     first is '{}': {e}",
                    folder.display()
                );
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// What hears of changes, whoever has the watch.
    pub fn events(&self) -> FolderEvents {
        FolderEvents(Arc::clone(&self.shared))
    }
}

/// Hears what a [`FolderWatch`] was told.
#[derive(Clone, Debug)]
pub struct FolderEvents(Arc<Shared>);

impl FolderEvents {
    /// Returns when there is something to take.
    pub async fn noticed(&self) {
        self.0.noticed.notified().await;
    }

    /// What happened since this was called last.
    pub fn take(&self) -> Noticed {
        std::mem::take(&mut self.0.state().noticed)
    }

    /// Models of which a file is being written now.
    pub fn being_written(&self, now: Instant) -> BTreeSet<(usize, String)> {
        let State { watched, writing, .. } = &mut *self.0.state();
        writing.files(now).flat_map(|file| about(watched, file).models).collect()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // What it guards is whole between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs on the thread of the watcher.
    fn take(&self, event: notify::Result<Event>) {
        let mut state = self.state();
        let is_news = if let Ok(event) = event {
            state.take(&event, Instant::now())
        } else {
            state.noticed.everything = true;
            true
        };
        drop(state);
        if is_news {
            self.noticed.notify_one();
        }
    }
}

impl State {
    /// False if it means nothing: most of what happens is that somebody reads.
    fn take(&mut self, event: &Event, now: Instant) -> bool {
        if event.need_rescan() {
            self.noticed.everything = true;
            return true;
        }
        let mut is_news = false;
        for path in &event.paths {
            let about = self.about(path);
            // In a folder that a link leads through, others may write much.
            let is_ours = !about.is_nothing();
            match event.kind {
                EventKind::Access(AccessKind::Close(AccessMode::Write)) => self.writing.ended(path),
                EventKind::Access(_) => return false,
                EventKind::Create(CreateKind::File) if is_ours => {
                    self.made_in.extend(path.parent().map(Path::to_owned));
                }
                EventKind::Modify(ModifyKind::Data(_)) if is_ours => self.writing.written(path, now),
                EventKind::Modify(ModifyKind::Name(_)) | EventKind::Remove(_) => {
                    self.writing.ended_below(path);
                }
                _ => {}
            }
            is_news |= is_ours;
            self.noticed.models.extend(about.models);
            self.noticed.repositories.extend(about.repositories);
        }
        is_news
    }

    fn about(&self, path: &Path) -> About {
        about(&self.watched, path)
    }
}

impl Watched {
    /// True if nobody else watches it.
    fn forget(&mut self, owner: &Owner) -> bool {
        self.whole.remove(owner);
        self.names.retain(|_, owners| {
            owners.remove(owner);
            !owners.is_empty()
        });
        self.whole.is_empty() && self.names.is_empty()
    }
}

/// What something that happened at a path is about.
#[derive(Default)]
struct About {
    models: BTreeSet<(usize, String)>,
    repositories: BTreeSet<usize>,
}

impl About {
    fn is_nothing(&self) -> bool {
        self.models.is_empty() && self.repositories.is_empty()
    }

    /// Of this, all that is below the owner's.
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
    // What happens to the folder itself. Of a repository's own the look tells whether it can be read.
    if let Some(itself) = watched.get(path) {
        let models = itself.whole.iter().filter(|owner| matches!(owner, Owner::Model(..)));
        models.chain(itself.names.values().flatten()).for_each(|owner| about.add(owner));
    }
    about
}

/// Names by the folder that they are in.
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
