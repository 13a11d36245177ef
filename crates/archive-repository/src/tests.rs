use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hippocamp_repository::{RemoteRepository, RemoteTimeout};
use tempfile::TempDir;

use super::*;

/// A network with an input of pictures and an output of classes, as ONNX: `x` is [1, 3, 8, 8], `y` is [1, 4].
fn network() -> Vec<u8> {
    let field = |number: u8, content: &[u8]| [&[number << 3 | 2, content.len() as u8], content].concat();
    let port = |name: &str, dims: &[u8]| {
        let dims: Vec<u8> = dims.iter().flat_map(|&dim| field(1, &[1 << 3, dim])).collect();
        let tensor = [vec![1 << 3, 1], field(2, &dims)].concat();
        [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat()
    };
    let graph =
        [field(2, b"g"), field(11, &port("x", &[1, 3, 8, 8])), field(12, &port("y", &[1, 4]))].concat();
    [vec![1 << 3, 8], field(7, &graph)].concat()
}

/// A store with an unpacked archive.
fn add(store: &Path, file: &str, name: &str, handler: &str) -> PathBuf {
    let folder = store.join(file);
    fs::create_dir_all(folder.join("MAR-INF")).unwrap();
    let manifest = format!(
        r#"{{"runtime": "python", "model": {{"modelName": "{name}", "modelVersion": "1.0", "handler": "{handler}",
        "serializedFile": "net.onnx"}}}}"#
    );
    fs::write(folder.join("MAR-INF/MANIFEST.json"), manifest).unwrap();
    fs::write(folder.join("net.onnx"), network()).unwrap();
    folder
}

fn archives(store: &TempDir, serves_stores: bool) -> Arc<Archives> {
    let backends = ["onnxruntime", "vision"].map(str::to_owned).to_vec();
    Archives::new(vec![store.path().to_owned()], serves_stores, backends)
}

fn named<'a>(path: &'a Path, url: &'a str) -> Named<'a> {
    Named { path, url, fetched: false }
}

fn called(name: &str) -> Options {
    Options { name: Some(name.to_owned()), ..Options::default() }
}

fn listed(archives: &Archives) -> BTreeMap<String, hippocamp_repository::Fingerprint> {
    archives.list(RemoteTimeout::Full).unwrap()
}

#[test]
fn what_registrations_became_is_forgotten_with_them() {
    let store = TempDir::new().unwrap();
    let path = add(store.path(), "a", "a", "base_handler");
    let archives = archives(&store, false);
    let mut most = 0;
    for number in 0..20 {
        let options = Options { batch_size: Some(number), ..called(&format!("m{number}")) };
        let registered = archives.register(&named(&path, "a"), &options, |_| false).unwrap();
        archives.unregister(&registered);
        assert_eq!(archives.registrations().len(), 0);
        most = most.max(archives.conversions.count());
    }
    assert_eq!(most, 0);
    // An archive that lies in a store is known by its own name and by that under which it is served.
    let archives = self::archives(&store, true);
    assert_eq!(archives.registrations().len(), 1);
    assert_eq!(archives.conversions.count(), 2);
}

#[test]
fn a_start_that_failed_takes_back_its_own_registration_only() {
    let store = TempDir::new().unwrap();
    let path = add(store.path(), "a", "a", "base_handler");
    let archives = archives(&store, true);
    let first = archives.register(&named(&path, "a"), &Options::default(), |_| false).unwrap();
    archives.withdraw(&first);
    // The archive that lies there is served as before.
    assert_eq!(listed(&archives).len(), 1);
    let options = Options { workers: Some(3), ..Options::default() };
    let second = archives.register(&named(&path, "a"), &options, |_| false).unwrap();
    archives.withdraw(&first);
    assert_eq!(archives.registrations()[0].workers, Some(3));
    archives.unregister(&second);
    assert_eq!(listed(&archives).len(), 0);
    let third = archives.register(&named(&path, "a"), &options, |_| false).unwrap();
    archives.unregister(&second);
    assert_eq!(listed(&archives).len(), 1);
    archives.unregister(&third);
    assert_eq!(listed(&archives).len(), 0);
}

#[test]
fn of_a_path_the_name_counts_and_no_path_leads_out_of_the_store() {
    let store = TempDir::new().unwrap();
    let path = add(store.path(), "a", "a", "base_handler");
    let archives = archives(&store, false);
    for url in ["a", "/a", "/home/model-server/model-store/a"] {
        assert_eq!(archives.find(url).unwrap(), path, "{url}");
    }
    for url in ["", "/", "/etc/hostname", "a/../a", "..", "\\a", "/home/a/"] {
        assert!(archives.find(url).is_err(), "{url}");
    }
    let options = Options { runtime: Some("python3".to_owned()), ..Options::default() };
    let registered = archives.register(&named(&path, "/a"), &options, |_| false).unwrap();
    assert_eq!((&*registered.runtime, &*registered.url), ("python3", "/a"));
    assert_eq!(archives.registrations()[0].runtime, "python3");
}

#[test]
fn steps_have_names_of_their_own() {
    let store = TempDir::new().unwrap();
    let classifier = add(store.path(), "c", "c", "image_classifier");
    let step = add(store.path(), "d", "c-network", "base_handler");
    let archives = archives(&store, false);
    let fault = |path: &Path, url: &str, options: &Options, taken: &str| {
        archives.register(&named(path, url), options, |name| name == taken).unwrap_err().to_string()
    };
    assert_eq!(
        fault(&classifier, "c", &Options::default(), "c-preprocess"),
        "the archive becomes the model 'c' with the step 'c-preprocess', but a model of a repository has that name: \
         register it under another model_name"
    );
    assert_eq!(
        fault(&classifier, "c", &Options::default(), "c"),
        "Model version 1.0 is already registered for model c"
    );
    let registered = archives.register(&named(&step, "d"), &Options::default(), |_| false).unwrap();
    assert_eq!(
        fault(&classifier, "c", &Options::default(), ""),
        "the archive becomes the model 'c' with the step 'c-network', but archive 'd' has a model of that name: register it \
         under another model_name"
    );
    archives.register(&named(&classifier, "c"), &called("other"), |_| false).unwrap();
    archives.unregister(&registered);
    archives.register(&named(&classifier, "c"), &Options::default(), |_| false).unwrap();
    // Nothing was registered by what was refused.
    assert_eq!(listed(&archives).len(), 8);
}

#[test]
fn archives_in_a_store_whose_steps_clash_are_not_served() {
    let store = TempDir::new().unwrap();
    add(store.path(), "a", "c-network", "base_handler");
    add(store.path(), "b", "c", "image_classifier");
    let archives = archives(&store, true);
    assert_eq!(listed(&archives).keys().collect::<Vec<_>>(), ["c", "c-network"]);
    let fault = archives.fetch("c").unwrap_err().to_string();
    assert!(fault.contains("archive 'a' has a model of that name"), "{fault}");
    archives.fetch("c-network").unwrap();
}

#[test]
fn archives_of_a_store_that_cannot_be_read_are_not_gone() {
    let folder = TempDir::new().unwrap();
    let (store, away) = (folder.path().join("store"), folder.path().join("away"));
    fs::create_dir(&store).unwrap();
    let path = add(&store, "a.mar", "a", "base_handler");
    let of =
        |serves_stores| Archives::new(vec![store.clone()], serves_stores, vec!["onnxruntime".to_owned()]);
    let (all, registered) = (of(true), of(false));
    registered.register(&named(&path, "a.mar"), &Options::default(), |_| false).unwrap();
    let before = (listed(&all), listed(&registered));
    assert_eq!((before.0.len(), before.1.len()), (1, 1));
    fs::rename(&store, &away).unwrap();
    let fault = all.list(RemoteTimeout::Short).unwrap_err().to_string();
    assert!(fault.starts_with(&format!("model store '{}' cannot be read: ", store.display())), "{fault}");
    assert_eq!(listed(&registered), before.1);
    fs::rename(&away, &store).unwrap();
    assert_eq!((listed(&all), listed(&registered)), before);
    fs::remove_dir_all(&path).unwrap();
    assert_eq!(listed(&all).len(), 0);
    assert_ne!(listed(&registered), before.1);
}

#[test]
fn a_fetched_archive_leaves_the_store_with_its_last_registration() {
    let store = TempDir::new().unwrap();
    let unpacked = add(store.path(), "a", "a", "base_handler");
    let path = store.path().join("b.mar");
    let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    for name in ["MAR-INF/MANIFEST.json", "net.onnx"] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, &fs::read(unpacked.join(name)).unwrap()).unwrap();
    }
    zip.finish().unwrap();
    fs::remove_dir_all(unpacked).unwrap();
    let archives = archives(&store, true);
    let fetched = Named { path: &path, url: "http://host/b.mar", fetched: true };
    let first = archives.register(&fetched, &called("first"), |_| false).unwrap();
    // It is served as what it was registered as, and not by its own name besides.
    assert_eq!(listed(&archives).keys().collect::<Vec<_>>(), ["first"]);
    let second = archives.register(&named(&path, "b.mar"), &called("second"), |_| false).unwrap();
    archives.unregister(&first);
    assert!(path.try_exists().unwrap());
    archives.unregister(&second);
    assert!(path.try_exists().unwrap(), "the second was not fetched");
    let other = archives.register(&named(&path, "b.mar"), &called("other"), |_| false).unwrap();
    let fault = archives.register(&fetched, &called("taken"), |name| name == "taken").unwrap_err();
    assert!(matches!(fault, RegisterFault::Duplicate { .. }), "{fault}");
    archives.discard(&path);
    assert!(path.try_exists().unwrap(), "another has registered it");
    archives.unregister(&other);
    let third = archives.register(&fetched, &called("third"), |_| false).unwrap();
    archives.withdraw(&third);
    assert!(!path.try_exists().unwrap());
    let fault = archives.register(&fetched, &called("fourth"), |_| false).unwrap_err();
    assert!(!fault.to_string().is_empty());
}
