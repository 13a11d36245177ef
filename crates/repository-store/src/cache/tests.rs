use std::collections::BTreeMap;

use super::*;

fn location() -> StoreLocation {
    "s3://bucket/models".parse().unwrap()
}

fn object(key: &str, content: &str) -> ListedObject {
    ListedObject { key: key.to_owned(), size: content.len() as u64, identity: content.to_owned(), etag: None }
}

fn listing(files: &[(&str, &str)]) -> ModelListing {
    let files: BTreeMap<_, _> = files
        .iter()
        .map(|(path, content)| ((*path).to_owned(), object(&format!("models/m/{path}"), content)))
        .collect();
    ModelListing { files, ..ModelListing::default() }
}

/// Puts what is missing where a download would. Returns the keys that were.
fn bring(model: &ModelCache, listing: &ModelListing) -> Vec<String> {
    let missing = model.missing(listing).unwrap();
    for object in &missing {
        fs::write(model.object_path(object), &object.identity).unwrap();
    }
    missing.iter().map(|object| object.key.clone()).collect()
}

fn count(model: &ModelCache) -> usize {
    fs::read_dir(model.objects()).unwrap().count()
}

#[test]
fn what_did_not_change_is_not_missing_and_what_serves_stays() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(&location(), Some(folder.path())).unwrap();
    let model = cache.model("m");
    let first = listing(&[("1/model.onnx", "big"), ("config.pbtxt", "one")]);
    assert_eq!(bring(&model, &first).len(), 2);
    let old = model.snapshot(&first).unwrap();
    let second = listing(&[("1/model.onnx", "big"), ("config.pbtxt", "two"), ("2/model.onnx", "new")]);
    assert_eq!(bring(&model, &second), ["models/m/2/model.onnx", "models/m/config.pbtxt"]);
    let new = model.snapshot(&second).unwrap();

    let read = |snapshot: &StoreSnapshot, path: &str| fs::read_to_string(snapshot.path().join(path)).unwrap();
    assert_eq!((read(&old, "config.pbtxt"), read(&new, "config.pbtxt")), ("one".into(), "two".into()));
    assert_eq!(read(&new, "1/model.onnx"), "big");
    let inode = |snapshot: &StoreSnapshot| fs::metadata(snapshot.path().join("1/model.onnx")).unwrap().ino();
    assert_eq!(inode(&old), inode(&new), "one file for both");

    assert_eq!(count(&model), 4, "the old config is served still");
    let path = old.path().to_owned();
    drop(old);
    assert!(!path.is_dir());
    assert_eq!(count(&model), 3, "and goes with the last who serves it");
    drop(new);
    assert_eq!(count(&model), 3, "the latest objects stay for the next load");
    assert!(model.missing(&second).unwrap().is_empty());
}

#[test]
fn nothing_is_swept_while_it_is_being_fetched() {
    let cache = Cache::open(&location(), None).unwrap();
    let model = cache.model("m");
    let first = listing(&[("1/m", "a")]);
    bring(&model, &first);
    let old = model.snapshot(&first).unwrap();
    let second = listing(&[("1/m", "b")]);
    bring(&model, &second);
    let partial = model.objects().join(format!("{PARTIAL}x"));
    fs::write(&partial, "half").unwrap();
    drop(old);
    assert!(partial.is_file());
    assert!(model.missing(&second).unwrap().is_empty());
    model.snapshot(&second).unwrap();
}

#[test]
fn the_next_process_uses_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let content = listing(&[("1/m", "a")]);
    let cache = Cache::open(&location(), Some(folder.path())).unwrap();
    bring(&cache.model("m"), &content);
    // As if the process had been killed.
    std::mem::forget(cache.model("m").snapshot(&content).unwrap());
    fs::write(cache.model("m").objects().join(format!("{PARTIAL}x")), "half").unwrap();
    let taken = Cache::open(&location(), Some(folder.path())).unwrap_err().to_string();
    assert!(taken.contains("another process uses it"), "{taken}");
    drop(cache);

    let cache = Cache::open(&location(), Some(folder.path())).unwrap();
    let model = cache.model("m");
    assert!(model.missing(&content).unwrap().is_empty());
    assert_eq!(count(&model), 1, "no half file");
    assert_eq!(fs::read_to_string(model.snapshot(&content).unwrap().path().join("1/m")).unwrap(), "a");
}

#[test]
fn a_file_of_another_size_counts_as_missing() {
    let cache = Cache::open(&location(), None).unwrap();
    let model = cache.model("m");
    let content = listing(&[("1/m", "whole")]);
    bring(&model, &content);
    fs::write(model.object_path(&content.files["1/m"]), "cut").unwrap();
    assert_eq!(model.missing(&content).unwrap().len(), 1);
}

#[test]
fn version_folders_without_files_are_made() {
    let cache = Cache::open(&location(), None).unwrap();
    let model = cache.model("m");
    let content =
        ModelListing { empty_versions: ["1".to_owned()].into(), ..listing(&[("config.pbtxt", "c")]) };
    bring(&model, &content);
    assert!(model.snapshot(&content).unwrap().path().join("1").is_dir());
}

#[test]
fn a_temporary_folder_goes_when_the_cache_is_closed_and_a_named_one_stays() {
    let cache = Cache::open(&location(), None).unwrap();
    assert!(cache.path.is_dir());
    cache.close();
    assert!(!cache.path.is_dir());
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(&location(), Some(folder.path())).unwrap();
    cache.close();
    assert!(cache.path.is_dir());
}

#[test]
fn the_folder_has_to_be_there_and_each_location_has_its_own() {
    let error = Cache::open(&location(), Some(Path::new("/not/there"))).unwrap_err().to_string();
    assert!(error.contains("'/not/there'") && error.contains("it is not there; make it"), "{error}");
    let other: StoreLocation = "s3://bucket/models2".parse().unwrap();
    assert_ne!(folder_name(&location()), folder_name(&other));
    let odd: StoreLocation = "gs://a.b_c/..x".parse().unwrap();
    assert!(folder_name(&odd).starts_with("a-b-c-"));
}
