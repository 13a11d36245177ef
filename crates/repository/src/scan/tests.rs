use std::fs;
use std::path::Path;

use super::*;
use crate::RemoteRepository;
use crate::location::RemoteModel;

fn repository(models: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for model in models {
        fs::create_dir_all(folder.path().join(model).join("1")).unwrap();
    }
    folder
}

fn plain() -> ScanOptions {
    ScanOptions::default()
}

fn namespaced() -> ScanOptions {
    ScanOptions { namespacing: true, ..ScanOptions::default() }
}

/// A repository elsewhere with models in a folder here, or one that does not answer.
#[derive(Debug)]
struct Elsewhere(Option<tempfile::TempDir>);

impl Elsewhere {
    fn folder(&self) -> Result<&Path, RemoteFault> {
        self.0.as_ref().map(tempfile::TempDir::path).ok_or_else(|| RemoteFault("no answer".to_owned()))
    }
}

#[derive(Debug)]
struct Kept(PathBuf);

impl Snapshot for Kept {
    fn path(&self) -> &Path {
        &self.0
    }
}

impl RemoteRepository for Elsewhere {
    fn location(&self) -> &'static str {
        "s3://bucket/models"
    }

    fn list(&self, _: RemoteTimeout) -> Result<BTreeMap<String, Fingerprint>, RemoteFault> {
        let entries = fs::read_dir(self.folder()?).unwrap();
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        Ok(names.map(|name| (name.clone(), Fingerprint::of(&name))).collect())
    }

    fn contains(&self, name: &str) -> Result<bool, RemoteFault> {
        Ok(self.folder()?.join(name).is_dir())
    }

    fn config(&self, name: &str, _: Option<&str>) -> Result<Option<String>, RemoteFault> {
        let path = self.folder()?.join(name);
        let text = || fs::read_to_string(path.join("config.pbtxt")).unwrap_or_default();
        Ok(path.is_dir().then(text))
    }

    fn fetch(&self, name: &str) -> Result<Option<RemoteModel>, RemoteFault> {
        let path = self.folder()?.join(name);
        let model =
            || RemoteModel { fingerprint: Fingerprint::of(&name), files: Arc::new(Kept(path.clone())) };
        Ok(path.is_dir().then(model))
    }
}

fn remote(folder: Option<tempfile::TempDir>) -> RepositoryLocation {
    RepositoryLocation::Remote(Arc::new(Elsewhere(folder)))
}

#[test]
fn finds_models_and_passes_over_the_rest() {
    let folder = repository(&["b", "a", "a\nb", ".hidden"]);
    fs::write(folder.path().join("README.md"), "").unwrap();
    let scan = scan(&[folder.path().into()], &plain());
    assert_eq!(scan.models.keys().collect::<Vec<_>>(), ["a", "b"]);
    assert!(matches!(&scan.faults[..], [ScanFault::Name { name, .. }] if name == "a\nb"));
}

#[test]
fn a_name_in_two_repositories_is_not_served_from_either() {
    let (one, two) = (repository(&["a", "b"]), repository(&["b", "c"]));
    let paths = [one.path().into(), two.path().into()];
    let scan = scan(&paths, &plain());
    assert_eq!(scan.models.keys().collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(scan.duplicates, ["b".to_owned()].into());
    let text = scan.faults[0].to_string();
    let (first, second) = (one.path().display(), two.path().display());
    assert!(
        text.contains(&format!("model 'b' is in more than one repository: '{first}' and '{second}'")),
        "{text}"
    );
    assert!(matches!(find(&paths, "b", &plain()), Err(ScanFault::Duplicate { .. })));
    let found = find(&paths, "c", &plain()).unwrap().unwrap();
    assert_eq!(found.folder.path, two.path().join("c"));
    assert!(find(&paths, "d", &plain()).unwrap().is_none());
    assert!(find(&paths, "b::c", &plain()).unwrap().is_none(), "a name like any other");
}

#[test]
fn with_namespaces_each_repository_serves_its_own() {
    let folder = tempfile::tempdir().unwrap();
    for model in ["one/a/1", "one/b/1", "two/b/1", "two/b/2", "two/c/1"] {
        fs::create_dir_all(folder.path().join(model)).unwrap();
    }
    let paths = [folder.path().join("one").into(), folder.path().join("two").into()];
    let scan = scan(&paths, &namespaced());
    assert_eq!(scan.models.keys().collect::<Vec<_>>(), ["a", "c", "one::b", "two::b"]);
    assert!(scan.faults.is_empty() && scan.duplicates.is_empty());

    let found = find(&paths, "two::b", &namespaced()).unwrap().unwrap().folder;
    assert_eq!((found.name.as_str(), found.folder_name.as_str()), ("two::b", "b"));
    assert_eq!((found.versions, found.namespace.as_deref()), ([1, 2].into(), Some("two")));
    assert_eq!(
        find(&paths, "b", &namespaced()).unwrap_err().to_string(),
        "There are 2 identifiers of model 'b' in global map, model namespace must be provided to resolve \
         ambiguity. They are 'one::b' and 'two::b'"
    );
    for none in ["three::b", "one::c", "two::c", "one::d", "::b", "b::"] {
        assert!(find(&paths, none, &namespaced()).unwrap().is_none(), "{none}");
    }
    assert_eq!(find(&paths, "c", &namespaced()).unwrap().unwrap().folder.name, "c");
}

#[test]
fn steps_mean_the_model_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    for model in ["one/b/1", "two/b/1", "two/c/1"] {
        fs::create_dir_all(folder.path().join(model)).unwrap();
    }
    let paths = [folder.path().join("one").into(), folder.path().join("two").into()];
    let step = |namespace, name| find_step(&paths, namespace, name, &namespaced());
    assert_eq!(step(Some("two"), "b"), "two::b");
    assert_eq!(step(Some("one"), "c"), "c");
    assert_eq!(step(Some("three"), "b"), "b", "ambiguous");
    assert_eq!(step(None, "../b"), "../b");
    assert_eq!(find_step(&paths, Some("two"), "b", &plain()), "b");
}

#[test]
fn configs_are_found_without_the_rest() {
    let (here, there) = (repository(&["a"]), repository(&["b", "c"]));
    fs::write(here.path().join("a/config.pbtxt"), "local").unwrap();
    fs::write(there.path().join("b/config.pbtxt"), "remote").unwrap();
    let locations = [here.path().into(), remote(Some(there))];
    let text = |name| find_config(&locations, name, &plain()).unwrap().map(|found| found.text);
    assert_eq!(text("a"), Some(Some("local".to_owned())));
    assert_eq!(text("b"), Some(Some("remote".to_owned())));
    assert_eq!(text("c"), Some(Some(String::new())));
    assert_eq!(text("d"), None);
}

#[test]
fn no_name_leads_out_of_a_repository() {
    let folder = repository(&["models/a", "outside"]);
    let outside = folder.path().join("outside");
    fs::write(outside.join("config.pbtxt"), "secret").unwrap();
    let models = folder.path().join("models");
    for locations in [vec![models.as_path().into()], vec![models.as_path().into(), remote(None)]] {
        for name in ["../outside", "a/../../outside", outside.to_str().unwrap(), "..", ".", "a/1", "/"] {
            for (options, name) in [(plain(), name.to_owned()), (namespaced(), format!("models::{name}"))] {
                assert!(find(&locations, &name, &options).unwrap().is_none(), "{name}");
                assert_eq!(find_config(&locations, &name, &options).unwrap(), None, "{name}");
                assert_eq!(config_fingerprint(&locations, &name, &options).unwrap(), None, "{name}");
            }
        }
    }
}

#[test]
fn a_repository_that_is_not_there_does_not_hide_the_others() {
    let folder = repository(&["a"]);
    let scan = scan(&[PathBuf::from("not/there").into(), remote(None), folder.path().into()], &plain());
    assert!(scan.models.contains_key("a"));
    assert!(matches!(&scan.faults[..], [ScanFault::Repository { .. }, ScanFault::Remote { .. }]));
}

#[test]
fn remote_models_are_fetched_when_they_are_wanted() {
    let here = repository(&["a", "both"]);
    let locations = [here.path().into(), remote(Some(repository(&["b", "both", ".odd"])))];
    let scan = scan(&locations, &plain());
    assert_eq!(scan.models.keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(scan.duplicates, ["both".to_owned()].into());
    let found = find(&locations, "b", &plain()).unwrap().unwrap();
    assert_eq!(found.folder.fingerprint, scan.models["b"], "a scan and a fetch agree");
    assert_eq!(found.files.unwrap().path(), found.folder.path);
    assert!(matches!(find(&locations, "both", &plain()), Err(ScanFault::Duplicate { .. })));
    assert!(find(&locations, "c", &plain()).unwrap().is_none());
    assert!(find(&locations[1..], "c", &plain()).unwrap().is_none());
}

#[test]
fn a_store_that_is_down_keeps_no_other_model_from_being_found() {
    let here = repository(&["a"]);
    let locations = [here.path().into(), remote(None)];
    assert!(find(&locations, "a", &plain()).unwrap().is_some());
    let error = find(&locations, "b", &plain()).unwrap_err().to_string();
    assert_eq!(error, "failed to fetch model 'b' from 's3://bucket/models': no answer");
}

#[test]
fn a_listing_has_the_names_that_a_scan_has() {
    let (first, second) = (repository(&["a", "b", ".hidden"]), repository(&["b", "c"]));
    fs::write(first.path().join("file"), "").unwrap();
    for (target, link) in [("a", "linked"), ("file", "to_file"), ("gone", "to_nothing")] {
        std::os::unix::fs::symlink(first.path().join(target), first.path().join(link)).unwrap();
    }
    let elsewhere = Elsewhere(Some(repository(&["c", "d"])));
    let locations = [
        first.path().into(),
        second.path().into(),
        RepositoryLocation::Remote(Arc::new(elsewhere)),
        Path::new("/no such folder").into(),
    ];
    for options in [plain(), namespaced()] {
        let (listing, scan) = (list(&locations, &options), scan(&locations, &options));
        assert_eq!(listing.models, scan.models.into_keys().collect());
        assert_eq!(listing.duplicates, scan.duplicates);
        let texts = |faults: &[ScanFault]| {
            let faults = faults.iter().filter(|fault| !fault.is_warning());
            faults.map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(texts(&listing.faults), texts(&scan.faults));
        assert!(listing.models.contains("linked") && !listing.models.contains("to_file"));
    }
}
