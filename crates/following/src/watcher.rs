//! Scans the repositories, and watches the folders that a scan found.

use std::collections::{BTreeMap, BTreeSet};

use hippocamp_repository::{Fingerprint, RepositoryLocation, Scan, ScanOptions, Survey};
use hippocamp_repository_watch::{FolderEvents, FolderWatch, Owner};

/// The folder of a model: the index of the repository, and the name of the folder in it.
pub(crate) type Place = (usize, String);

/// The limit of scans of a model that changes while the watch on it is set up. Later changes are reported as events.
const MAX_LOOKS: usize = 3;

/// The scanner of the repositories. Its methods may block.
pub(crate) struct Watcher {
    survey: Survey,
    watch: FolderWatch,
    /// The fingerprints of the models whose folders are watched. These fingerprints include the links on the paths.
    watched: BTreeMap<Place, Fingerprint>,
}

impl Watcher {
    /// A watcher of no folders yet. Without `events` no file events of the kernel are used.
    pub(crate) fn new(repositories: Vec<RepositoryLocation>, options: ScanOptions, events: bool) -> Watcher {
        let survey = Survey::new(repositories, options);
        let watch = if events { FolderWatch::new() } else { FolderWatch::disabled() };
        Watcher { survey, watch, watched: BTreeMap::new() }
    }

    /// The receiver of the events in the watched folders.
    pub(crate) fn events(&self) -> FolderEvents {
        self.watch.events()
    }

    /// Scans the models of these names, or everything if there are none. Returns all models, and those whose content or links
    /// changed since the last scan.
    pub(crate) fn scan(&mut self, names: Option<&BTreeSet<String>>) -> (Scan, BTreeSet<Place>) {
        if let Some(names) = names {
            for name in names {
                self.survey.scan_model(name);
            }
        } else {
            self.scan_all();
        }
        let mut changed = self.watch_folders();
        // Changes between the scan and the start of the watch cause no events, so the new folders are scanned again.
        let mut unsure = changed.clone();
        for _ in 1..MAX_LOOKS {
            if unsure.is_empty() {
                break;
            }
            for (repository, folder) in &unsure {
                self.survey.scan_model_folder(*repository, folder);
            }
            unsure = self.watch_folders();
            changed.extend(unsure.iter().cloned());
        }
        self.watch.find_open_files();
        (self.survey.scan(), changed)
    }

    /// Watches the repositories and then scans them: a model that is added in between is found by the scan, and a later one is
    /// reported as an event.
    fn scan_all(&mut self) {
        self.survey.follow_repository_links();
        for _ in 0..MAX_LOOKS {
            for (repository, path) in self.survey.local_repositories() {
                let link_points = self.survey.repository_link_points(repository);
                self.watch.set(&Owner::Repository(repository), &[path.to_owned()], link_points);
            }
            self.survey.scan_all();
            if !self.survey.follow_repository_links() {
                break;
            }
        }
    }

    /// Watches the folders of the models that exist now. Returns the models whose folders may have changed.
    fn watch_folders(&mut self) -> BTreeSet<Place> {
        let local = self.survey.local_places();
        let now: BTreeMap<Place, Fingerprint> =
            local.map(|(repository, folder, content)| ((repository, folder.to_owned()), content)).collect();
        let mut changed = BTreeSet::new();
        for (place, content) in &now {
            if self.watched.get(place) != Some(content) {
                let (repository, folder) = place;
                let folders = self.survey.folders(*repository, folder);
                let link_points = self.survey.link_points(*repository, folder);
                self.watch.set(&Owner::Model(*repository, folder.clone()), folders, link_points);
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
