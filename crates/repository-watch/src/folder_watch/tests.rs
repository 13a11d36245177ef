use std::io::Write;
use std::os::unix::fs::symlink;
use std::time::Duration;

use super::*;

struct Bench {
    folder: tempfile::TempDir,
    watch: FolderWatch,
    seen: FolderChanges,
}

impl Bench {
    /// A repository with the model `m`, watched.
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("m/1")).unwrap();
        let mut watch = FolderWatch::new();
        assert!(watch.watcher.is_some(), "this system tells of changes");
        watch.set(&Owner::Repository(0), &[folder.path().to_owned()], &[]);
        let mut bench = Bench { folder, watch, seen: FolderChanges::default() };
        bench.watch_model("m", &["m", "m/1"]);
        bench
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn watch_model(&mut self, name: &str, folders: &[&str]) {
        let folders: Vec<_> = folders.iter().map(|folder| self.path(folder)).collect();
        self.watch.set(&Owner::Model(0, name.to_owned()), &folders, &[]);
    }

    /// The model `m`, whose links lead by these names.
    fn watch_hops(&mut self, link_points: &[PathBuf]) {
        let folders = [self.path("m"), self.path("m/1")];
        self.watch.set(&Owner::Model(0, "m".to_owned()), &folders, link_points);
    }

    /// Waits until that model was noticed, and forgets what was.
    async fn notices(&mut self, model: &str) {
        let wanted = (0, model.to_owned());
        let wait = async {
            loop {
                let FolderChanges { everything, models, repositories } = self.watch.events().take();
                self.seen.everything |= everything;
                self.seen.models.extend(models);
                self.seen.repositories.extend(repositories);
                if self.seen.models.contains(&wanted) {
                    return;
                }
                self.watch.events().changed().await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(20), wait).await;
        assert!(in_time.is_ok(), "'{model}' was not noticed, but {:?}", self.seen);
        self.seen = FolderChanges::default();
    }

    async fn is_being_written(&self, model: &str, expected: bool) {
        let models = || self.watch.events().being_written(Instant::now());
        let wait = async {
            while models().contains(&(0, model.to_owned())) != expected {
                tokio::task::yield_now().await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(20), wait).await;
        assert!(in_time.is_ok(), "expected {expected}, being written are {:?}", models());
    }
}

#[tokio::test]
async fn notices_what_is_written_created_moved_and_removed() {
    let mut bench = Bench::new();
    fs::write(bench.path("m/config.pbtxt"), "name: 'm'").unwrap();
    bench.notices("m").await;
    fs::write(bench.path("m/1/model.onnx"), "x").unwrap();
    bench.notices("m").await;
    fs::create_dir(bench.path("new")).unwrap();
    bench.notices("new").await;
    fs::rename(bench.path("new"), bench.path("other")).unwrap();
    bench.notices("other").await;
    fs::remove_dir_all(bench.path("m")).unwrap();
    bench.notices("m").await;
    // The same name, another folder.
    fs::create_dir_all(bench.path("m/1")).unwrap();
    bench.notices("m").await;
    bench.watch_model("m", &["m", "m/1"]);
    bench.watch.events().take();
    fs::write(bench.path("m/1/model.onnx"), "y").unwrap();
    bench.notices("m").await;
}

#[tokio::test]
async fn follows_links_out_of_the_repository() {
    let mut bench = Bench::new();
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), bench.path("m/2")).unwrap();
    bench.notices("m").await;
    bench.watch_model("m", &["m", "m/1", "m/2"]);
    bench.watch.events().take();
    fs::write(elsewhere.path().join("model.onnx"), "x").unwrap();
    bench.notices("m").await;
    bench.watch_model("m", &["m"]);
    assert_eq!(bench.watch.shared.state().watched.len(), 2, "the repository and the model");
}

#[tokio::test]
async fn notices_the_names_that_links_lead_by_and_no_others() {
    let mut bench = Bench::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let place = fs::canonicalize(elsewhere.path()).unwrap();
    fs::create_dir(place.join("one")).unwrap();
    symlink("one", place.join("current")).unwrap();
    bench.watch_hops(&[place.join("current"), place.join("one/model.onnx")]);
    bench.watch.events().take();

    // Nothing of this is the model's, and all of it was told of when the link is.
    fs::write(place.join("other"), "x").unwrap();
    let other = fs::File::create(place.join("one/other")).unwrap();
    bench.watch.find_open_files();
    symlink("two", place.join("next")).unwrap();
    fs::rename(place.join("next"), place.join("current")).unwrap();
    bench.notices("m").await;
    assert!(bench.watch.events().being_written(Instant::now()).is_empty());
    assert_eq!(bench.watch.shared.state().created_in, BTreeSet::new());
    drop(other);

    // The end of the way was not there and comes, and is written to.
    let mut file = fs::File::create(place.join("one/model.onnx")).unwrap();
    bench.notices("m").await;
    file.write_all(b"half").unwrap();
    bench.is_being_written("m", true).await;
    drop(file);
    bench.is_being_written("m", false).await;
    bench.watch.events().take();
    fs::remove_dir_all(place.join("one")).unwrap();
    bench.notices("m").await;

    bench.watch_hops(&[place.join("current"), place.join("two")]);
    bench.watch.events().take();
    fs::create_dir(place.join("two")).unwrap();
    bench.notices("m").await;
    bench.watch_model("m", &[]);
    assert_eq!(bench.watch.shared.state().watched.len(), 1, "the repository");
}

#[tokio::test]
async fn tells_of_a_repository_that_links_lead_to() {
    let mut bench = Bench::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let place = fs::canonicalize(elsewhere.path()).unwrap();
    bench.watch.set(&Owner::Repository(0), &[bench.path("")], &[place.join("current")]);
    symlink(bench.folder.path(), place.join("current")).unwrap();
    let events = bench.watch.events();
    let told = async {
        while events.take().repositories != [0].into() {
            events.changed().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), told).await.unwrap();
    fs::create_dir(bench.path("new")).unwrap();
    bench.notices("new").await;
}

#[tokio::test]
async fn a_file_is_being_written_until_it_is_closed() {
    let mut bench = Bench::new();
    let mut file = fs::File::create(bench.path("m/1/model.onnx")).unwrap();
    file.write_all(b"half").unwrap();
    bench.notices("m").await;
    bench.is_being_written("m", true).await;
    drop(file);
    bench.is_being_written("m", false).await;
}

#[tokio::test]
async fn a_file_that_is_open_and_empty_is_found() {
    let mut bench = Bench::new();
    let file = fs::File::create(bench.path("m/config.pbtxt")).unwrap();
    bench.notices("m").await;
    bench.watch.find_open_files();
    bench.is_being_written("m", true).await;
    drop(file);
    bench.is_being_written("m", false).await;
}

#[tokio::test]
async fn a_file_that_was_opened_before_is_found() {
    let mut bench = Bench::new();
    fs::create_dir_all(bench.path("new/1")).unwrap();
    let mut file = fs::File::create(bench.path("new/1/model.onnx")).unwrap();
    file.write_all(b"half").unwrap();
    bench.watch_model("new", &["new", "new/1"]);
    bench.watch.find_open_files();
    bench.is_being_written("new", true).await;
    drop(file);
    bench.is_being_written("new", false).await;
}

#[test]
fn reading_is_no_news() {
    let path = PathBuf::from("/r/m/config.pbtxt");
    let mut state = State::default();
    state.watched.entry("/r".into()).or_default().whole.insert(Owner::Repository(3));
    state.watched.entry("/r/m".into()).or_default().whole.insert(Owner::Model(3, "m".into()));
    let event = |kind| Event::new(kind).add_path(path.clone());
    let now = Instant::now();
    assert!(!state.take(&event(EventKind::Access(AccessKind::Open(AccessMode::Any))), now));
    assert!(!state.take(&event(EventKind::Access(AccessKind::Close(AccessMode::Read))), now));
    assert_eq!(state.noticed, FolderChanges::default());
    assert!(state.take(&event(EventKind::Create(notify::event::CreateKind::File)), now));
    assert_eq!(state.noticed.models, [(3, "m".to_owned())].into());
}
