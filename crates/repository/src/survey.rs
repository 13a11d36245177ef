//! The content of the repositories, kept between scans, so that a scan of one model does not read the others.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hippocamp_files as files;

use crate::links::Links;
use crate::model_folder::Tree;
use crate::namespace::{namespaces, qualified_name, split_qualified};
use crate::{Fingerprint, RepositoryLocation, Scan, ScanFault, ScanOptions, check_name};

/// The content of the repositories as the last scans found it. A repository that cannot be read keeps its previous content, since
/// a disk or a store that is unavailable for a moment has not lost its models.
#[derive(Debug, Default)]
pub struct Survey {
    repositories: Vec<RepositoryLocation>,
    options: ScanOptions,
    /// One for each repository.
    seen: Vec<Seen>,
}

/// The content of one repository.
#[derive(Debug, Default)]
struct Seen {
    models: BTreeMap<String, Model>,
    /// Links in the place of a model's folder that lead to no folder, with the paths at which a change redirects them.
    dangling: BTreeMap<String, Vec<PathBuf>>,
    /// The faults of single folders, by the folder's name.
    faults: BTreeMap<String, ScanFault>,
    /// Why the repository itself could not be read.
    unreadable: Option<ScanFault>,
    /// The paths at which a change redirects a link on the path of the repository.
    link_points: Vec<PathBuf>,
}

#[derive(Debug, Default)]
struct Model {
    fingerprint: Fingerprint,
    folders: Vec<PathBuf>,
    link_points: Vec<PathBuf>,
}

impl Survey {
    /// A survey that has not scanned anything yet.
    pub fn new(repositories: Vec<RepositoryLocation>, options: ScanOptions) -> Survey {
        let seen = repositories.iter().map(|_| Seen::default()).collect();
        Survey { repositories, options, seen }
    }

    /// Follows the links on the path of each local repository. Returns true if a link was redirected since the last call.
    pub fn follow_repository_links(&mut self) -> bool {
        let mut changed = false;
        for (repository, seen) in self.repositories.iter().zip(&mut self.seen) {
            if let RepositoryLocation::Local(path) = repository {
                let mut links = Links::default();
                links.follow(path);
                let before = std::mem::replace(&mut seen.link_points, links.into_points());
                changed |= seen.link_points != before;
            }
        }
        changed
    }

    /// Looks at everything in the repositories. Blocks for as long as disks and stores take.
    pub fn scan_all(&mut self) {
        self.scan_by(scan_folders);
    }

    /// Looks at which models there are. What stands for their content stands for nothing then.
    pub(crate) fn scan_names(&mut self) {
        self.scan_by(scan_names);
    }

    fn scan_by(&mut self, look: fn(&Path, &mut Seen) -> io::Result<()>) {
        for (repository, seen) in self.repositories.iter().zip(&mut self.seen) {
            let looked = match repository {
                RepositoryLocation::Local(path) => look(path, seen)
                    .map_err(|source| ScanFault::Repository { path: path.clone(), source: Arc::new(source) }),
                RepositoryLocation::Remote(remote) => match remote.list(self.options.remote_timeout) {
                    Ok(models) => {
                        scan_list(models, repository, seen);
                        Ok(())
                    }
                    Err(source) => Err(ScanFault::Remote { location: remote.location().to_owned(), source }),
                },
            };
            seen.unreadable = looked.err();
        }
    }

    /// Looks at one folder of one repository on this machine, by its place in the list.
    pub fn scan_model_folder(&mut self, repository: usize, folder: &str) {
        if let Some(RepositoryLocation::Local(path)) = self.repositories.get(repository) {
            scan_folder(path, folder, &mut self.seen[repository]);
        }
    }

    /// The models as they were seen last.
    pub fn scan(&self) -> Scan {
        let mut scan = Scan::default();
        let mut places: BTreeMap<&str, Vec<(usize, Fingerprint)>> = BTreeMap::new();
        for (index, seen) in self.seen.iter().enumerate() {
            scan.faults.extend(seen.unreadable.iter().chain(seen.faults.values()).cloned());
            for (name, model) in &seen.models {
                places.entry(name).or_default().push((index, model.fingerprint));
            }
        }
        let namespaces = namespaces(&self.repositories);
        for (name, found) in places {
            match &found[..] {
                [(_, fingerprint)] => drop(scan.models.insert(name.to_owned(), *fingerprint)),
                _ if self.options.namespacing => {
                    let each =
                        found.iter().map(|(at, print)| (qualified_name(&namespaces[*at], name), *print));
                    scan.models.extend(each);
                }
                _ => {
                    let repositories =
                        found.iter().map(|(at, _)| self.repositories[*at].to_string()).collect();
                    scan.faults.push(ScanFault::Duplicate { name: name.to_owned(), repositories });
                    scan.duplicates.insert(name.to_owned());
                }
            }
        }
        scan
    }

    /// Looks at the model that is served under that name, wherever it is or was.
    pub fn scan_model(&mut self, name: &str) {
        let folder = split_qualified(name).filter(|_| self.options.namespacing).map_or(name, |(_, own)| own);
        let has = |seen: &Seen| seen.models.contains_key(folder);
        let is_local = |at: usize| !self.repositories[at].is_remote();
        let elsewhere = (0..self.seen.len()).any(|at| !is_local(at) && has(&self.seen[at]));
        let here = (0..self.seen.len()).any(|at| is_local(at) && has(&self.seen[at]));
        if elsewhere || (!here && self.repositories.iter().any(RepositoryLocation::is_remote)) {
            // A store is asked for the list of all; another question would not be cheaper.
            return self.scan_all();
        }
        (0..self.seen.len()).for_each(|at| self.scan_model_folder(at, folder));
    }

    /// The folders of a repository on this machine that hold a model's files, as they are reached. None if there is no
    /// such model.
    pub fn folders(&self, repository: usize, folder: &str) -> &[PathBuf] {
        let model = self.seen.get(repository).and_then(|seen| seen.models.get(folder));
        model.map_or(&[], |model| &model.folders)
    }

    /// The paths at which a change redirects a link of a model: every link that is followed, and the target of the last one. The
    /// parent of each path is resolved, and the last component may not exist.
    pub fn link_points(&self, repository: usize, folder: &str) -> &[PathBuf] {
        let Some(seen) = self.seen.get(repository) else { return &[] };
        seen.models
            .get(folder)
            .map(|model| &model.link_points)
            .or(seen.dangling.get(folder))
            .map_or(&[], Vec::as_slice)
    }

    /// The same of the links on the path of a repository, as [`Survey::follow_repository_links`] found them last.
    pub fn repository_link_points(&self, repository: usize) -> &[PathBuf] {
        self.seen.get(repository).map_or(&[], |seen| &seen.link_points)
    }

    /// All models on this machine, and the links in the place of one that lead to none: the place of their repository,
    /// their folder, and what stands for their content and for the ways that lead to it.
    pub fn local_places(&self) -> impl Iterator<Item = (usize, &str, Fingerprint)> {
        let local = self.seen.iter().enumerate().filter(|(at, _)| !self.repositories[*at].is_remote());
        local.flat_map(|(at, seen)| {
            let models = seen.models.iter().map(move |(name, model)| {
                let ways = (&model.folders, &model.link_points, &seen.link_points);
                (at, name.as_str(), Fingerprint::of(&(model.fingerprint, ways)))
            });
            let dangling = seen.dangling.iter().filter(|(name, _)| !seen.models.contains_key(*name));
            models.chain(
                dangling.map(move |(name, link_points)| (at, name.as_str(), Fingerprint::of(link_points))),
            )
        })
    }

    /// The repositories that are folders of this machine, by their place in the list.
    pub fn local_repositories(&self) -> impl Iterator<Item = (usize, &Path)> {
        self.repositories.iter().enumerate().filter_map(|(at, repository)| match repository {
            RepositoryLocation::Local(path) => Some((at, path.as_path())),
            RepositoryLocation::Remote(_) => None,
        })
    }
}

fn scan_list(models: BTreeMap<String, Fingerprint>, repository: &RepositoryLocation, seen: &mut Seen) {
    *seen = Seen::default();
    for (name, fingerprint) in models {
        match check_name(&name) {
            Ok(()) => drop(seen.models.insert(name, Model { fingerprint, ..Model::default() })),
            Err(fault) => {
                let fault = bad_name(&name, repository.to_string(), fault.to_string());
                seen.faults.insert(name, fault);
            }
        }
    }
}

fn scan_folders(repository: &Path, seen: &mut Seen) -> io::Result<()> {
    let names: HashSet<OsString> =
        fs::read_dir(repository)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
    seen.models.retain(|name, _| names.contains(OsStr::new(name)));
    seen.dangling.clear();
    seen.faults.clear();
    for name in &names {
        if let Some(name) = name.to_str() {
            scan_folder(repository, name, seen);
        } else if is_model_folder_named(&repository.join(name), name) {
            let name = name.to_string_lossy().into_owned();
            let fault = bad_name(&name, repository.display().to_string(), "it is not UTF-8".to_owned());
            seen.faults.insert(name, fault);
        }
    }
    Ok(())
}

/// Which models are there, and nothing of what is in them: one read of the repository's folder, and two questions for each
/// folder in it.
fn scan_names(repository: &Path, seen: &mut Seen) -> io::Result<()> {
    *seen = Seen::default();
    for entry in fs::read_dir(repository)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if is_model_folder_named(&entry.path(), OsStr::new(&name)) && check_name(&name).is_ok() {
            seen.models.insert(name, Model::default());
        }
    }
    Ok(())
}

/// A model that was seen is gone if its folder is not there and the repository is. For any other reason that its folder cannot be
/// reached, such as a network disk that does not answer, it stays as it was seen.
fn scan_folder(repository: &Path, name: &str, seen: &mut Seen) {
    let path = repository.join(name);
    if seen.models.contains_key(name)
        && let Err(error) = fs::metadata(&path)
    {
        let is_gone = files::is_absence(&error);
        if is_gone && let Err(source) = fs::read_dir(repository) {
            let source = Arc::new(source);
            seen.unreadable = Some(ScanFault::Repository { path: repository.to_owned(), source });
            return;
        }
        if !is_gone {
            let fault = ScanFault::Model { name: name.to_owned(), source: Arc::new(error) };
            seen.faults.insert(name.to_owned(), fault);
            return;
        }
    }
    seen.faults.remove(name);
    seen.dangling.remove(name);
    if !is_model_folder_named(&path, OsStr::new(name)) {
        seen.models.remove(name);
        if let Some(found) = files::describe(&path).ok().filter(|_| is_no_plain_file(&path, name)) {
            let repository = repository.display().to_string();
            let fault = ScanFault::NotAFolder { name: name.to_owned(), repository, found };
            seen.faults.insert(name.to_owned(), fault);
        }
        if !name.starts_with('.') && path.is_symlink() {
            let mut links = Links::default();
            links.follow(&path);
            seen.dangling.insert(name.to_owned(), links.into_points());
        }
        return;
    }
    if let Err(fault) = check_name(name) {
        let fault = bad_name(name, repository.display().to_string(), fault.to_string());
        seen.faults.insert(name.to_owned(), fault);
        return;
    }
    match Tree::walk(&path) {
        Ok(Tree { fingerprint, folders, link_points }) => {
            seen.models.insert(name.to_owned(), Model { fingerprint, folders, link_points });
        }
        // The folder was removed during the scan, if the repository is there.
        Err(e) if e.kind() == io::ErrorKind::NotFound && !path.is_dir() && repository.is_dir() => {
            drop(seen.models.remove(name));
        }
        Err(source) => {
            let fault = ScanFault::Model { name: name.to_owned(), source: Arc::new(source) };
            seen.faults.insert(name.to_owned(), fault);
        }
    }
}

/// Hidden folders are passed over in silence: tools leave them everywhere.
fn is_model_folder_named(path: &Path, name: &OsStr) -> bool {
    !name.as_encoded_bytes().starts_with(b".") && is_model_folder(path)
}

/// Whether a path is a folder that may be a model's. An archive of TorchServe that is not packed is none: it belongs to the
/// repository of archives.
pub(crate) fn is_model_folder(path: &Path) -> bool {
    path.is_dir() && !path.join("MAR-INF").is_dir()
}

/// Whether something there may be meant as a model's folder and is none: a link that leads nowhere, a FIFO, a device.
/// Plain files lie in many repositories, such as a README.
fn is_no_plain_file(path: &Path, name: &str) -> bool {
    let is_plain = fs::metadata(path).is_ok_and(|metadata| metadata.is_file() || metadata.is_dir());
    !is_plain && !name.starts_with('.') && fs::symlink_metadata(path).is_ok()
}

fn bad_name(name: &str, repository: String, reason: String) -> ScanFault {
    ScanFault::Name { name: name.to_owned(), repository, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(folders: &[&Path]) -> Survey {
        let repositories = folders.iter().map(|&folder| folder.into()).collect();
        Survey::new(repositories, ScanOptions::default())
    }

    #[test]
    fn a_look_at_one_model_leaves_the_others_as_they_were_seen() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            fs::create_dir_all(folder.path().join(name).join("1")).unwrap();
        }
        let mut survey = survey(&[folder.path()]);
        assert!(survey.scan().models.is_empty(), "nothing was looked at");
        survey.scan_all();
        let before = survey.scan().models;
        assert_eq!(survey.folders(0, "a"), [folder.path().join("a"), folder.path().join("a/1")]);

        for name in ["a", "b"] {
            fs::write(folder.path().join(name).join("1/model.onnx"), name).unwrap();
        }
        survey.scan_model_folder(0, "a");
        let after = survey.scan().models;
        assert_ne!(before["a"], after["a"]);
        assert_eq!(before["b"], after["b"]);

        fs::remove_dir_all(folder.path().join("a")).unwrap();
        survey.scan_model_folder(0, "a");
        assert_eq!(survey.scan().models.keys().collect::<Vec<_>>(), ["b"]);
        survey.scan_model_folder(0, "new");
        survey.scan_model_folder(7, "no such repository");
        assert_eq!(survey.scan().models.len(), 1);
    }

    #[test]
    fn follows_links() {
        let folder = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(folder.path()).unwrap();
        for inside in ["models/a/1", "volume/one", "volume/two"] {
            fs::create_dir_all(path.join(inside)).unwrap();
        }
        let link = |target: &str, at: &str| std::os::unix::fs::symlink(target, path.join(at)).unwrap();
        link("one", "volume/current");
        link("../../../volume/current/model.onnx", "models/a/1/model.onnx");
        link("../volume/current", "models/b");
        link("../volume/later", "models/c");
        let repository = path.join("models");
        let mut survey = survey(&[&repository]);
        survey.scan_all();
        let link_points = |survey: &Survey, model| survey.link_points(0, model).to_vec();
        let expected = ["models/a/1/model.onnx", "volume/current", "volume/one/model.onnx"];
        assert_eq!(link_points(&survey, "a"), expected.map(|hop| path.join(hop)));
        let expected = ["models/b", "volume/current", "volume/one"];
        assert_eq!(link_points(&survey, "b"), expected.map(|hop| path.join(hop)));
        assert_eq!(link_points(&survey, "c"), ["models/c", "volume/later"].map(|hop| path.join(hop)));
        assert!(!survey.scan().models.contains_key("c"));
        let faults: Vec<String> = survey.scan().faults.iter().map(ToString::to_string).collect();
        assert!(
            faults[0].ends_with(
                "it is a link to '../volume/later', which is not there, expected a model's folder"
            )
        );
        assert!(faults.len() == 1 && survey.scan().faults[0].is_warning(), "{faults:?}");
        assert!(!survey.follow_repository_links(), "no link leads to the repository");
        assert!(survey.repository_link_points(0).is_empty() && survey.repository_link_points(7).is_empty());

        // A link is redirected to an empty folder.
        let stands = |survey: &Survey| survey.local_places().map(|(.., stands)| stands).collect::<Vec<_>>();
        let (before, content) = (stands(&survey), survey.scan().models);
        fs::remove_file(path.join("volume/current")).unwrap();
        link("two", "volume/current");
        survey.scan_all();
        assert_ne!(stands(&survey)[0], before[0]);
        assert_eq!(survey.scan().models["a"], content["a"]);
        assert!(link_points(&survey, "a").contains(&path.join("volume/two/model.onnx")));
    }

    #[test]
    fn knows_the_ways_to_the_repositories() {
        let folder = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir_all(path.join("one/models/a/1")).unwrap();
        std::os::unix::fs::symlink("one", path.join("current")).unwrap();
        let repository = path.join("current/models");
        let mut survey = survey(&[&repository]);
        survey.scan_all();
        assert!(survey.follow_repository_links() && !survey.follow_repository_links());
        assert_eq!(survey.repository_link_points(0), [path.join("current"), path.join("one/models")]);
        let stands = |survey: &Survey| survey.local_places().map(|(.., stands)| stands).collect::<Vec<_>>();
        let before = stands(&survey);
        fs::rename(path.join("one"), path.join("two")).unwrap();
        fs::remove_file(path.join("current")).unwrap();
        std::os::unix::fs::symlink("two", path.join("current")).unwrap();
        assert!(survey.follow_repository_links());
        survey.scan_all();
        assert_eq!(survey.repository_link_points(0), [path.join("current"), path.join("two/models")]);
        assert_ne!(stands(&survey), before);
    }

    #[test]
    fn what_cannot_be_read_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let repository = folder.path().join("models");
        fs::create_dir_all(repository.join("a/1")).unwrap();
        let mut survey = survey(&[&repository]);
        survey.scan_all();
        fs::rename(&repository, folder.path().join("away")).unwrap();
        survey.scan_all();
        let scan = survey.scan();
        assert!(scan.models.contains_key("a"));
        assert!(matches!(&scan.faults[..], [ScanFault::Repository { .. }]), "{:?}", scan.faults);
        fs::create_dir(&repository).unwrap();
        survey.scan_all();
        let scan = survey.scan();
        assert!(scan.models.is_empty() && scan.faults.is_empty(), "it is there again, and empty");
    }

    #[test]
    fn a_look_at_one_model_loses_none_of_a_repository_that_is_away() {
        let folder = tempfile::tempdir().unwrap();
        let (repository, away) = (folder.path().join("models"), folder.path().join("away"));
        for inside in ["models/a/1", "volume/b/1"] {
            fs::create_dir_all(folder.path().join(inside)).unwrap();
        }
        std::os::unix::fs::symlink("../volume/b", repository.join("b")).unwrap();
        let mut survey = survey(&[&repository]);
        survey.scan_all();
        let before = survey.scan().models;
        assert_eq!(before.keys().collect::<Vec<_>>(), ["a", "b"]);
        fs::rename(&repository, &away).unwrap();
        for name in ["a", "b", "none"] {
            survey.scan_model_folder(0, name);
        }
        let scan = survey.scan();
        assert_eq!(scan.models, before);
        assert!(matches!(&scan.faults[..], [ScanFault::Repository { .. }]), "{:?}", scan.faults);
        fs::rename(&away, &repository).unwrap();
        survey.scan_all();
        assert!(survey.scan().faults.is_empty());
        fs::remove_dir_all(folder.path().join("volume/b")).unwrap();
        survey.scan_model_folder(0, "b");
        assert_eq!(survey.scan().models.keys().collect::<Vec<_>>(), ["a"], "the repository is there");
    }

    #[test]
    fn a_file_replaced_by_one_of_the_same_size_and_time_shows() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/1")).unwrap();
        let (file, other) = (folder.path().join("a/1/model.onnx"), folder.path().join("other"));
        fs::write(&file, "abc").unwrap();
        fs::write(&other, "xyz").unwrap();
        let time = fs::metadata(&file).unwrap().modified().unwrap();
        fs::File::options().write(true).open(&other).unwrap().set_modified(time).unwrap();
        let mut survey = survey(&[folder.path()]);
        survey.scan_all();
        let before = survey.scan().models["a"];
        fs::rename(&other, &file).unwrap();
        survey.scan_model_folder(0, "a");
        assert_ne!(before, survey.scan().models["a"]);
    }
}
