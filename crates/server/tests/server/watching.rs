//! Following a repository by looks alone, as on disks that tell of nothing.

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

/// Puts a config in its place whole. What begins with a dot is no model.
fn put(server: &TestServer, path: &str, config: &str) {
    server.repository.write(".aside", config);
    let place = |path| server.repository.path().join(path);
    std::fs::rename(place(".aside"), place(path)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_found_without_being_told() {
    let repository = Repository::default().with("m", &identity_config(0, ""));
    let (mut server, faults) =
        TestServer::start_with(repository, |settings| settings.control_mode = ControlMode::Poll).await;
    assert_eq!(faults, [""; 0]);
    let mut settings = WatchSettings { poll: Some(QUIET), events: false, ..WatchSettings::default() };
    settings.quiet.found = QUIET;
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
