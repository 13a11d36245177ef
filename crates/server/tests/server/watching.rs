//! Following a repository by polling alone, as on network disks, and by file system events through links.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use hippocamp_core::{ControlMode, WatchSettings};
use hippocamp_testing::{Repository, TestServer, identity_config};

const QUIET: Duration = Duration::from_millis(20);

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come true");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Writes a config and renames it into place. Names that begin with a dot are ignored.
fn put(server: &TestServer, path: &str, config: &str) {
    server.repository.write(".aside", config);
    let place = |path| server.repository.path().join(path);
    std::fs::rename(place(".aside"), place(path)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_found_by_polling_alone() {
    let repository = Repository::default().with("m", &identity_config(0, ""));
    let (mut server, faults) =
        TestServer::start_with(repository, |settings| settings.control_mode = ControlMode::Poll).await;
    assert_eq!(faults, [""; 0]);
    let mut settings = WatchSettings { poll: Some(QUIET), events: false, ..WatchSettings::default() };
    settings.settling.found = QUIET;
    server.watch(settings);
    let core = &server.core;

    server.repository.version(".new", 1);
    put(&server, ".new/config.pbtxt", &identity_config(0, ""));
    let place = |path| server.repository.path().join(path);
    std::fs::rename(place(".new"), place("new")).unwrap();
    eventually("a new model", || core.model("new", None).is_ok()).await;

    put(&server, "m/config.pbtxt", &identity_config(4, ""));
    let size = || core.model("m", None).map(|model| model.config.max_batch_size).ok();
    eventually("an edit", || size() == Some(4)).await;

    put(&server, "m/config.pbtxt", "max_batch: 1");
    let told = || server.core.metrics_page().contains("nv_model_load_failure{model=\"m\"} 1\n");
    eventually("a fault that is told", told).await;
    assert_eq!(size(), Some(4), "what served goes on");

    std::fs::remove_dir_all(place("new")).unwrap();
    eventually("a removed model", || core.model("new", None).is_err()).await;
    put(&server, "m/config.pbtxt", &identity_config(2, ""));
    eventually("an edit that heals", || size() == Some(2)).await;
    assert!(told(), "the fault was tried once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_in_two_repositories_is_served_when_one_of_them_is_gone() {
    let repository = Repository::default()
        .with("one/m", &identity_config(1, ""))
        .with("one/other", &identity_config(0, ""));
    let (mut server, faults) = TestServer::start_with(repository, |settings| {
        let parent = settings.repositories[0].to_string();
        settings.repositories =
            ["one", "two"].map(|name| Path::new(&parent).join(name).as_path().into()).into();
        settings.control_mode = ControlMode::Poll;
    })
    .await;
    // The second repository does not exist yet.
    assert!(faults.concat().starts_with("failed to read model repository '"), "{faults:?}");
    assert!(!server.core.is_live());
    let mut settings = WatchSettings { poll: Some(QUIET), events: false, ..WatchSettings::default() };
    settings.settling.found = QUIET;
    server.watch(settings);
    let core = &server.core;
    let place = |path| server.repository.path().join(path);
    std::fs::create_dir(place("two")).unwrap();
    eventually("a repository that can be read", || core.is_live() && core.is_ready()).await;

    server.repository.version("aside", 1);
    server.repository.write("aside/config.pbtxt", identity_config(2, ""));
    std::fs::rename(place("aside"), place("two/m")).unwrap();
    eventually("nothing that serves", || core.model("m", None).is_err()).await;
    let index = core.index(false);
    let told: Vec<_> = index.iter().filter(|entry| entry.name == "m").collect();
    assert_eq!(told.len(), 1, "{index:?}");
    assert_eq!(told[0].unavailable, Some("model appears in two or more repositories"));
    assert!(core.is_ready() && core.model("other", None).is_ok(), "the others are not disturbed");

    std::fs::remove_dir_all(place("one/m")).unwrap();
    let size = || core.model("m", None).map(|model| model.config.max_batch_size).ok();
    eventually("the one that is left", || size() == Some(2)).await;
    assert_eq!(core.index(true).len(), 2);
}

/// Replaces a link atomically.
fn relink(target: impl AsRef<Path>, link: &Path) {
    let new = link.with_extension("new");
    symlink(target, &new).unwrap();
    std::fs::rename(new, link).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_out_of_the_repository_are_followed_without_looking() {
    let elsewhere = tempfile::tempdir().unwrap();
    let place = |path: &str| elsewhere.path().join(path);
    let release = |name: &str, max_batch_size| {
        std::fs::create_dir_all(place(name).join("model/1")).unwrap();
        let config = identity_config(max_batch_size, "");
        std::fs::write(place(name).join("config.pbtxt"), &config).unwrap();
        std::fs::write(place(name).join("model/config.pbtxt"), &config).unwrap();
    };
    release("one", 1);
    release("two", 2);
    relink("one", &place("current"));

    let repository = Repository::default().with("file", "");
    std::fs::remove_file(repository.path().join("file/config.pbtxt")).unwrap();
    symlink(place("current/config.pbtxt"), repository.path().join("file/config.pbtxt")).unwrap();
    symlink(place("current/model"), repository.path().join("folder")).unwrap();
    symlink(place("later/model"), repository.path().join("late")).unwrap();
    let (mut server, faults) =
        TestServer::start_with(repository, |settings| settings.control_mode = ControlMode::Poll).await;
    assert_eq!(faults, [""; 0]);
    let mut settings = WatchSettings { poll: None, ..WatchSettings::default() };
    settings.settling.found = QUIET;
    server.watch(settings);
    let core = &server.core;
    let size = |name: &str| core.model(name, None).map(|model| model.config.max_batch_size).ok();
    let sizes = || [size("file"), size("folder"), size("late")];
    // Events of this model come after the first poll, which would find the links by itself.
    server.repository.version(".mark", 1);
    server.repository.write(".mark/config.pbtxt", identity_config(0, ""));
    std::fs::rename(server.repository.path().join(".mark"), server.repository.path().join("mark")).unwrap();
    eventually("a model beside them", || size("mark").is_some()).await;
    assert_eq!(sizes(), [Some(1), Some(1), None]);

    relink("two", &place("current"));
    eventually("a link that is led elsewhere", || sizes() == [Some(2), Some(2), None]).await;
    std::fs::write(place("two/new"), identity_config(4, "")).unwrap();
    std::fs::rename(place("two/new"), place("two/config.pbtxt")).unwrap();
    eventually("another file at the end", || sizes() == [Some(4), Some(2), None]).await;
    release("three", 3);
    relink("three", &place("later"));
    eventually("a link that led nowhere", || sizes() == [Some(4), Some(2), Some(3)]).await;
    relink("one", &place("current"));
    eventually("the way back", || sizes() == [Some(1), Some(1), Some(3)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_that_come_while_it_begins_are_noticed() {
    let mut repository = Repository::default();
    // So many that the first poll takes long enough for other changes to happen meanwhile.
    for at in 0..100 {
        repository = repository.with(&format!("old{at}"), &identity_config(0, ""));
    }
    let (mut server, faults) =
        TestServer::start_with(repository, |settings| settings.control_mode = ControlMode::Poll).await;
    assert_eq!(faults, [""; 0]);
    let path = server.repository.path().to_owned();
    let place = |name: String| (path.join(format!(".{name}")), path.join(name));
    let new: Vec<_> = (0..100).map(|at| format!("new{at}")).collect();
    for name in &new {
        server.repository.version(&format!(".{name}"), 1);
        server.repository.write(&format!(".{name}/config.pbtxt"), identity_config(0, ""));
    }
    let mut settings = WatchSettings { poll: None, ..WatchSettings::default() };
    settings.settling.found = QUIET;
    server.watch(settings);
    for (aside, place) in new.iter().cloned().map(place) {
        std::fs::rename(aside, place).unwrap();
        tokio::task::yield_now().await;
    }
    let all = || new.iter().all(|name| server.core.model(name, None).is_ok());
    eventually("each of the new models", all).await;
}
