//! Looks at disks and stores, and has the system report what happens where it looked.

use std::collections::{BTreeMap, BTreeSet};

use hippocamp_repository::{Fingerprint, RepositoryLocation, Scan, ScanOptions, Survey};
use hippocamp_repository_watch::{FolderEvents, FolderWatch, Owner};

/// The folder of a model: the repository's place in the list, and the folder's name in it.
pub(crate) type Place = (usize, String);

/// How often something is looked at that changes while the watch on it is set up. What still changes then is reported.
const MAX_LOOKS: usize = 3;

/// What looks at the repositories. All of it may block.
pub(crate) struct Watcher {
    survey: Survey,
    watch: FolderWatch,
    /// By place the content for which the folders of the model are watched. The content also stands for the links that
    /// lead to it.
    watched: BTreeMap<Place, Fingerprint>,
}

impl Watcher {
    /// Watches nothing yet. Without `events` the system is not asked to report anything.
    pub(crate) fn new(repositories: Vec<RepositoryLocation>, options: ScanOptions, events: bool) -> Watcher {
        let survey = Survey::new(repositories, options);
        let watch = if events { FolderWatch::new() } else { FolderWatch::blind() };
        Watcher { survey, watch, watched: BTreeMap::new() }
    }

    /// What the system reports of the folders that are watched.
    pub(crate) fn events(&self) -> FolderEvents {
        self.watch.events()
    }

    /// Looks at the models of these names, or at everything. Returns all that is known, and the models that are not what
    /// they were at the last look or are reached by other links.
    pub(crate) fn look(&mut self, names: Option<&BTreeSet<String>>) -> (Scan, BTreeSet<Place>) {
        if let Some(names) = names {
            for name in names {
                self.survey.look_for(name);
            }
        } else {
            self.look_at_all();
        }
        let mut changed = self.watch_folders();
        // Nobody reports what happened between the look and the beginning of the watch.
        let mut unsure = changed.clone();
        for _ in 1..MAX_LOOKS {
            if unsure.is_empty() {
                break;
            }
            for (repository, folder) in &unsure {
                self.survey.look_at(*repository, folder);
            }
            unsure = self.watch_folders();
            changed.extend(unsure.iter().cloned());
        }
        self.watch.find_open_files();
        (self.survey.scan(), changed)
    }

    /// Watches the repositories and then looks at them: a model that comes in between is found, one that comes later is
    /// reported.
    fn look_at_all(&mut self) {
        self.survey.find_ways();
        for _ in 0..MAX_LOOKS {
            for (repository, path) in self.survey.local_repositories() {
                let hops = self.survey.repository_hops(repository);
                self.watch.set(&Owner::Repository(repository), &[path.to_owned()], hops);
            }
            self.survey.look_at_all();
            if !self.survey.find_ways() {
                break;
            }
        }
    }

    /// Watches the folders of the models that are there now. Returns the models whose folders may be others than before.
    fn watch_folders(&mut self) -> BTreeSet<Place> {
        let local = self.survey.local_places();
        let now: BTreeMap<Place, Fingerprint> =
            local.map(|(repository, folder, content)| ((repository, folder.to_owned()), content)).collect();
        let mut changed = BTreeSet::new();
        for (place, content) in &now {
            if self.watched.get(place) != Some(content) {
                let (repository, folder) = place;
                let folders = self.survey.folders(*repository, folder);
                let hops = self.survey.hops(*repository, folder);
                self.watch.set(&Owner::Model(*repository, folder.clone()), folders, hops);
                changed.insert(place.clone());
            }
        }
        for place in self.watched.keys().filter(|place| !now.contains_key(*place)) {
            self.watch.set(&Owner::Model(place.0, place.1.clone()), &[], &[]);
            changed.insert(place.clone());
        }
        self.watched = now;
        changed
    }
}
