//! Has the kernel tell what happens in the folders of repositories and models.

use std::collections::{BTreeMap, BTreeSet, HashMap};
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
}

/// Watches folders, each on its own: which belong to a model is known only from a look at it, links and all.
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
    owners: HashMap<PathBuf, BTreeSet<Owner>>,
    noticed: Noticed,
    writing: Writing,
    /// Folders in which files were made. That does not tell whether somebody has them open: a link is made as well.
    made_in: BTreeSet<PathBuf>,
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

    /// From here on these are the owner's folders, however they are reached. Whatever happened in a new one before this
    /// was not noticed; [`FolderWatch::find_open_files`] finds what is still going on there.
    pub fn set(&mut self, owner: &Owner, folders: &[PathBuf]) {
        let new: BTreeSet<PathBuf> =
            folders.iter().filter_map(|folder| fs::canonicalize(folder).ok()).collect();
        let old = self.folders.remove(owner).unwrap_or_default();
        let mut unused = Vec::new();
        {
            let mut state = self.shared.state();
            for folder in old.difference(&new) {
                let Some(owners) = state.owners.get_mut(folder) else { continue };
                owners.remove(owner);
                if owners.is_empty() {
                    state.owners.remove(folder);
                    unused.push(folder.clone());
                }
            }
            for folder in &new {
                state.owners.entry(folder.clone()).or_default().insert(owner.clone());
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
            state.writing.written(&file, now);
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
    pub fn ear(&self) -> Ear {
        Ear(Arc::clone(&self.shared))
    }
}

/// Hears what a [`FolderWatch`] was told.
#[derive(Clone, Debug)]
pub struct Ear(Arc<Shared>);

impl Ear {
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
        let State { owners, writing, .. } = &mut *self.0.state();
        writing.files(now).flat_map(|file| models_of(owners, file)).collect()
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
        for path in &event.paths {
            match event.kind {
                EventKind::Access(AccessKind::Close(AccessMode::Write)) => self.writing.ended(path),
                EventKind::Access(_) => return false,
                EventKind::Create(CreateKind::File) => self.made_in.extend(path.parent().map(Path::to_owned)),
                EventKind::Modify(ModifyKind::Data(_)) => self.writing.written(path, now),
                EventKind::Modify(ModifyKind::Name(_)) | EventKind::Remove(_) => {
                    self.writing.ended_below(path);
                }
                _ => {}
            }
            let models = models_of(&self.owners, path);
            self.noticed.models.extend(models);
        }
        true
    }
}

/// The models that something at `path` belongs to.
fn models_of(owners: &HashMap<PathBuf, BTreeSet<Owner>>, path: &Path) -> BTreeSet<(usize, String)> {
    let of = |folder: &Path| owners.get(folder).into_iter().flatten();
    let inside = path.parent().into_iter().flat_map(of);
    let name = path.file_name().and_then(|name| name.to_str());
    let inside = inside.filter_map(|owner| match owner {
        Owner::Repository(repository) => Some((*repository, name?.to_owned())),
        Owner::Model(repository, folder) => Some((*repository, folder.clone())),
    });
    // What happens to the folder itself.
    let itself = of(path).filter_map(|owner| match owner {
        Owner::Repository(_) => None,
        Owner::Model(repository, folder) => Some((*repository, folder.clone())),
    });
    inside.chain(itself).collect()
}

#[cfg(test)]
mod tests;
