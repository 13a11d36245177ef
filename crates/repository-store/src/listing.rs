//! Groups the keys of a bucket into models, and computes the fingerprint of each. No I/O is done here.

use std::collections::{BTreeMap, BTreeSet};

use hippocamp_repository::Fingerprint;
use object_store::ObjectMeta;

/// Longest name that file systems take.
const MAX_PART: usize = 255;

/// An object of a model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ListedObject {
    /// Its whole key in the bucket.
    pub(crate) key: String,
    pub(crate) size: u64,
    /// Changes whenever the content does: the etag, or else the time of the last change.
    pub(crate) identity: String,
    /// To be asked for by the request, so that nothing newer comes. Not every store has one.
    pub(crate) etag: Option<String>,
}

/// What a model is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ModelListing {
    /// By path inside of the model's folder. Every path is safe to join to a folder.
    pub(crate) files: BTreeMap<String, ListedObject>,
    /// Version folders without a file, of which a store only knows by a mark.
    pub(crate) empty_versions: BTreeSet<String>,
    /// Keys that cannot be files here, each with the reason.
    pub(crate) ignored: Vec<(String, &'static str)>,
}

impl ModelListing {
    /// Sorts the objects of one model. `path` of an object is the rest of its key behind the model's folder.
    fn new(objects: Vec<(String, ListedObject)>) -> ModelListing {
        let mut listing = ModelListing::default();
        let mut files = BTreeMap::new();
        for (path, object) in objects {
            match fault(&path) {
                Some(reason) => listing.ignored.push((object.key, reason)),
                None => drop(files.insert(path, object)),
            }
        }
        let folders: BTreeSet<String> = files.keys().flat_map(|path| folders_of(path)).collect();
        for (path, object) in files {
            if folders.contains(&path) {
                // The mark of a folder that has files, too.
                if object.size > 0 {
                    listing.ignored.push((object.key, "other objects lie inside of it as in a folder"));
                }
            } else if object.size == 0 && is_version(&path) {
                listing.empty_versions.insert(path);
            } else {
                listing.files.insert(path, object);
            }
        }
        listing
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.empty_versions.is_empty()
    }

    /// Stands for names and content of everything in it.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let files: Vec<(&String, &str, u64)> =
            self.files.iter().map(|(path, object)| (path, object.identity.as_str(), object.size)).collect();
        Fingerprint::of(&(files, &self.empty_versions))
    }
}

/// Sorts the objects under `prefix` by model. What lies beside the models' folders is passed over.
pub(crate) fn models(prefix: &str, objects: Vec<ObjectMeta>) -> BTreeMap<String, ModelListing> {
    let mut by_model: BTreeMap<String, Vec<(String, ListedObject)>> = BTreeMap::new();
    for object in objects {
        let key = object.location.to_string();
        let Some(rest) = behind(prefix, &key) else { continue };
        let Some((model, path)) = rest.split_once('/') else { continue };
        let (model, path) = (model.to_owned(), path.to_owned());
        by_model.entry(model).or_default().push((path, listed(key, &object)));
    }
    let hidden = |name: &str| name.starts_with('.');
    let models = by_model.into_iter().filter(|(name, _)| !hidden(name));
    models.map(|(name, objects)| (name, ModelListing::new(objects))).filter(|(_, m)| !m.is_empty()).collect()
}

fn listed(key: String, object: &ObjectMeta) -> ListedObject {
    let identity = object.e_tag.clone().unwrap_or_else(|| object.last_modified.to_string());
    ListedObject { key, size: object.size, identity, etag: object.e_tag.clone() }
}

/// The rest of a key behind `prefix/`.
fn behind<'a>(prefix: &str, key: &'a str) -> Option<&'a str> {
    if prefix.is_empty() { Some(key) } else { key.strip_prefix(prefix)?.strip_prefix('/') }
}

/// Why a path cannot be one inside of a model's folder. Keys are anybody's choice: none may lead out of it.
fn fault(path: &str) -> Option<&'static str> {
    for part in path.split('/') {
        match part {
            "" => return Some("it has an empty part"),
            "." | ".." => return Some("it has a part that leads elsewhere"),
            _ if part.contains(char::is_control) => return Some("it has a control character"),
            _ if part.len() > MAX_PART => return Some("it has a part that is too long for a file's name"),
            _ => {}
        }
    }
    None
}

/// Every folder that a path lies in.
fn folders_of(path: &str) -> impl Iterator<Item = String> + '_ {
    path.match_indices('/').map(|(at, _)| path[..at].to_owned())
}

fn is_version(path: &str) -> bool {
    !path.is_empty() && path.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    fn object(size: u64, etag: &str) -> ListedObject {
        ListedObject { key: format!("k{etag}"), size, identity: etag.to_owned(), etag: Some(etag.to_owned()) }
    }

    fn listing(objects: &[(&str, u64, &str)]) -> ModelListing {
        ModelListing::new(
            objects.iter().map(|(p, size, tag)| ((*p).to_owned(), object(*size, tag))).collect(),
        )
    }

    fn paths(listing: &ModelListing) -> Vec<&str> {
        listing.files.keys().map(String::as_str).collect()
    }

    #[test]
    fn marks_of_empty_folders_are_versions() {
        let model = listing(&[
            ("1", 0, "a"),
            ("2", 0, "b"),
            ("2/model.onnx", 3, "c"),
            ("labels.txt", 0, "d"),
            ("3", 9, "e"),
        ]);
        assert_eq!(model.empty_versions, ["1".to_owned()].into());
        assert_eq!(paths(&model), ["2/model.onnx", "3", "labels.txt"]);
        assert!(model.ignored.is_empty());
    }

    #[test]
    fn an_object_that_is_a_folder_too_is_left_out() {
        let model = listing(&[("1", 5, "a"), ("1/model.onnx", 5, "b")]);
        assert_eq!(paths(&model), ["1/model.onnx"]);
        assert_eq!(model.ignored, [("ka".to_owned(), "other objects lie inside of it as in a folder")]);
    }

    #[test]
    fn hostile_paths_are_ignored_with_the_reason() {
        let long = "x".repeat(300);
        let model = listing(&[
            ("../../etc/passwd", 1, "a"),
            ("1/../../x", 1, "b"),
            ("/etc/passwd", 1, "c"),
            ("1//x", 1, "d"),
            ("1/./x", 1, "e"),
            ("1/x\0y", 1, "f"),
            (long.as_str(), 1, "g"),
            ("1/model.onnx", 1, "h"),
        ]);
        assert_eq!(paths(&model), ["1/model.onnx"]);
        assert_eq!(model.ignored.len(), 7);
    }

    #[test]
    fn content_and_names_make_the_fingerprint() {
        let base = listing(&[("1/m", 3, "a")]).fingerprint();
        assert_eq!(base, listing(&[("1/m", 3, "a")]).fingerprint());
        for other in [
            listing(&[("1/m", 3, "b")]),
            listing(&[("2/m", 3, "a")]),
            listing(&[("1/m", 3, "a"), ("2", 0, "")]),
            listing(&[]),
        ] {
            assert_ne!(base, other.fingerprint());
        }
    }

    #[test]
    fn objects_are_sorted_by_model() {
        let meta = |key: &str| ObjectMeta {
            location: key.into(),
            last_modified: std::time::SystemTime::UNIX_EPOCH.into(),
            size: 1,
            e_tag: None,
            version: None,
        };
        let keys =
            ["models/README.md", "models/a/1/m", "models/a/config.pbtxt", "models/b/1/m", "models/.x/1"];
        let of = |prefix| models(prefix, keys.map(meta).into());
        assert_eq!(of("models").keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(paths(&of("models")["a"]), ["1/m", "config.pbtxt"]);
        assert_eq!(of("").keys().collect::<Vec<_>>(), ["models"]);
        assert!(of("mod").is_empty(), "a prefix ends at a slash");
        let identity = &of("models")["a"].files["1/m"].identity;
        assert!(identity.contains("1970"), "without an etag the time of change: {identity}");
    }

    proptest! {
        #[test]
        fn no_path_leads_out_of_the_folder(parts in prop::collection::vec("(\\.|\\.\\.|/|a|[^/]{0,3})", 0..6)) {
            let path = parts.join("/");
            let model = listing(&[(path.as_str(), 1, "a")]);
            for file in model.files.keys().chain(&model.empty_versions) {
                let inside = Path::new(file).components().all(|c| matches!(c, Component::Normal(_)));
                prop_assert!(inside && !file.is_empty(), "{file:?}");
            }
        }
    }
}
