use std::fs;

use object_store::memory::InMemory;
use object_store::{ObjectStoreExt, PutPayload};

use super::*;

/// A repository in memory, and the store behind it.
struct Bench {
    repository: StoreRepository,
    store: Arc<InMemory>,
    stores: Stores,
}

fn bench() -> Bench {
    let (stores, store) = (Stores::new().unwrap(), Arc::new(InMemory::new()));
    let location = "s3://bucket/models".parse().unwrap();
    let repository = stores.with_client(location, Arc::clone(&store) as _, None).unwrap();
    Bench { repository, store, stores }
}

impl Bench {
    fn put(&self, key: &str, content: &'static str) {
        let (store, key) = (Arc::clone(&self.store), ObjectPath::parse(key).unwrap());
        let put = async move { store.put(&key, PutPayload::from_static(content.as_bytes())).await };
        self.stores.runtime.wait_for(async { put.await.map_err(|e| RemoteFault(e.to_string())) }).unwrap();
    }

    fn fetch(&self, name: &str) -> RemoteModel {
        self.repository.fetch(name).unwrap().unwrap()
    }
}

#[test]
fn lists_and_fetches_models() {
    let bench = bench();
    bench.put("models/a/1/model.onnx", "weights");
    bench.put("models/a/config.pbtxt", "config");
    bench.put("models/README.md", "not a model");
    bench.put("models/b/1/sub/file", "x");
    bench.put("other/c/1/m", "x");
    let listed = bench.repository.list(RemoteTimeout::Full).unwrap();
    assert_eq!(listed.keys().collect::<Vec<_>>(), ["a", "b"]);
    let model = bench.fetch("a");
    assert_eq!(model.fingerprint, listed["a"], "a listing and a fetch agree");
    assert_eq!(fs::read_to_string(model.files.path().join("1/model.onnx")).unwrap(), "weights");
    assert_eq!(fs::read_to_string(bench.fetch("b").files.path().join("1/sub/file")).unwrap(), "x");
    assert!(bench.repository.fetch("c").unwrap().is_none());
    assert!(bench.repository.contains("a").unwrap() && !bench.repository.contains("c").unwrap());
}

#[test]
fn what_is_the_same_is_the_same_snapshot() {
    let bench = bench();
    bench.put("models/a/1/m", "one");
    let first = bench.fetch("a");
    assert_eq!(first.files.path(), bench.fetch("a").files.path());
    bench.put("models/a/1/m", "two");
    let second = bench.fetch("a");
    assert_ne!(first.fingerprint, second.fingerprint);
    let read = |model: &RemoteModel| fs::read_to_string(model.files.path().join("1/m")).unwrap();
    assert_eq!((read(&first), read(&second)), ("one".to_owned(), "two".to_owned()));
    assert_eq!(bench.repository.list(RemoteTimeout::Full).unwrap()["a"], second.fingerprint);
}

#[test]
fn a_config_comes_without_its_model() {
    let bench = bench();
    bench.put("models/a/config.pbtxt", "usual");
    bench.put("models/a/configs/fast.pbtxt", "fast");
    bench.put("models/b/1/m", "x");
    let config = |name, custom| bench.repository.config(name, custom).unwrap();
    assert_eq!(config("a", None).as_deref(), Some("usual"));
    assert_eq!(config("a", Some("fast")).as_deref(), Some("fast"));
    assert_eq!(config("a", Some("other")).as_deref(), Some("usual"));
    assert_eq!(config("b", None).as_deref(), Some(""));
    assert_eq!(config("c", None), None);
    let objects = bench.repository.inner.models.lock()["a"].cache.objects();
    assert_eq!(fs::read_dir(objects).unwrap().count(), 2, "the two configs");
    bench.put("models/a/config.pbtxt", "changed");
    assert_eq!(config("a", None).as_deref(), Some("changed"));
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let bench = bench();
    bench.put("secret/1/m", "x");
    for name in ["..", "../secret", "a/b", ".hidden"] {
        let error = bench.repository.fetch(name).unwrap_err().to_string();
        assert!(error.contains("is not a model's name"), "{error}");
        assert!(bench.repository.contains(name).is_err());
    }
    assert!(bench.repository.inner.models.lock().is_empty(), "nothing is kept of them");
}

#[test]
fn a_model_that_is_gone_is_gone() {
    let bench = bench();
    bench.put("models/a/1/m", "one");
    let served = bench.fetch("a");
    let (store, key) = (Arc::clone(&bench.store), ObjectPath::parse("models/a/1/m").unwrap());
    let delete = async move { store.delete(&key).await.map_err(|e| RemoteFault(e.to_string())) };
    bench.stores.runtime.wait_for(delete).unwrap();
    assert!(bench.repository.fetch("a").unwrap().is_none());
    assert!(bench.repository.list(RemoteTimeout::Short).unwrap().is_empty());
    assert!(served.files.path().join("1/m").is_file(), "what serves keeps its files");
}
