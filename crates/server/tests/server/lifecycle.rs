//! Loading, reloading and unloading while requests run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hippocamp_core::{ControlMode, LoadOverrides, Readiness};
use hippocamp_testing::{Repository, TestServer, identity_config};

use crate::requests::{fp32, values};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_a_model_is_reloaded() {
    let server = TestServer::start(Repository::default().with("m", &identity_config(0, ""))).await;
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let mut clients = Vec::new();
    for _ in 0..4 {
        let (mut client, stop, answered) = (server.client().await, Arc::clone(&stop), Arc::clone(&answered));
        clients.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let reply = client.model_infer(fp32("m", "", &[1], &[3.0])).await?;
                assert_eq!(values(&reply.into_inner()), [3.0]);
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, tonic::Status>(())
        }));
    }
    for _ in 0..50 {
        let before = answered.load(Ordering::Relaxed);
        server.core.load("m", LoadOverrides::default()).await.unwrap();
        // Some requests were answered between two reloads.
        while answered.load(Ordering::Relaxed) == before {
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_reload_that_fails_leaves_the_old_version_and_says_why() {
    let server = TestServer::start(Repository::default().with("m", &identity_config(0, ""))).await;
    server.repository.write("m/config.pbtxt", "backend: \"nosuch\" max_batch_size: 0");
    let error = server.core.load("m", LoadOverrides::default()).await.unwrap_err();
    assert!(error.message().contains("there is no backend 'nosuch'"), "{error}");
    assert!(server.core.is_ready());
    server.client().await.model_infer(fp32("m", "", &[1], &[1.0])).await.unwrap();
    let (_, state) = server.core.index(false)[0].version.clone().unwrap();
    assert_eq!(state.state.name(), "READY");
    assert!(state.reason.contains("there is no backend 'nosuch'"), "{}", state.reason);
}

#[tokio::test]
async fn a_bad_model_disturbs_no_other() {
    let repository = Repository::default().with("good", &identity_config(0, ""));
    repository.write("bad/config.pbtxt", "backend: \"identity\"\nmax_batch_size: -1\nbogus_field: 3\n");
    repository.version("bad", 1);
    repository.write("empty/config.pbtxt", identity_config(0, ""));
    let (server, faults) = TestServer::start_with(repository, |_| {}).await;
    let faults = faults.join("\n");
    assert!(faults.contains("bad/config.pbtxt:3:"), "the unknown field's place:\n{faults}");
    assert!(faults.contains("at least one version must be available"), "{faults}");
    server.client().await.model_infer(fp32("good", "", &[1], &[1.0])).await.unwrap();
}

#[tokio::test]
async fn an_unloaded_model_has_no_available_versions_and_comes_back() {
    let server = TestServer::start(Repository::default().with("m", &identity_config(0, ""))).await;
    server.core.unload("m", false).await.unwrap();
    let mut client = server.client().await;
    let error = client.model_infer(fp32("m", "", &[1], &[1.0])).await.unwrap_err();
    assert_eq!(error.message(), "Request for unknown model: 'm' has no available versions");
    let (_, state) = server.core.index(false)[0].version.clone().unwrap();
    assert_eq!((state.state.name(), state.reason.as_str()), ("UNAVAILABLE", "unloaded"));
    server.core.load("m", LoadOverrides::default()).await.unwrap();
    client.model_infer(fp32("m", "", &[1], &[1.0])).await.unwrap();
}

#[tokio::test]
async fn versions_follow_the_policy() {
    let repository = Repository::default().with("m", &identity_config(0, "version_policy { all { } }"));
    repository.version("m", 3);
    let server = TestServer::start(repository).await;
    let versions = || server.core.ready_versions("m").iter().map(|m| m.version).collect::<Vec<_>>();
    assert_eq!(versions(), [1, 3]);
    server
        .repository
        .write("m/config.pbtxt", identity_config(0, "version_policy { specific { versions: 1 } }"));
    server.core.load("m", LoadOverrides::default()).await.unwrap();
    assert_eq!(versions(), [1]);
}

/// The config of an identity model with batches of 16, with `more` in its output.
fn given(more: &str) -> LoadOverrides {
    let config = format!(
        r#"{{"backend": "identity", "max_batch_size": 16,
        "input": [{{"name": "INPUT0", "data_type": "TYPE_FP32", "dims": [-1]}}],
        "output": [{{"name": "OUTPUT0", "data_type": "TYPE_FP32", "dims": [-1]{more}}}]}}"#
    );
    LoadOverrides { config: Some(config), ..LoadOverrides::default() }
}

#[tokio::test]
async fn a_config_that_came_with_a_load_stays_until_the_one_on_disk_is_written() {
    let server = TestServer::start(Repository::default().with("m", &identity_config(0, ""))).await;
    let plain = || server.core.load("m", LoadOverrides::default());
    let batch_size = || server.core.model("m", None).unwrap().interface.max_batch_size;
    server.core.load("m", given("")).await.unwrap();
    assert_eq!(batch_size(), 16);
    plain().await.unwrap();
    server.repository.version("m", 2);
    plain().await.unwrap();
    assert_eq!(
        (batch_size(), server.core.model("m", None).unwrap().version),
        (16, 2),
        "what is new is served so"
    );
    // A failed load does not change that.
    server.core.load("m", given(", \"label_filename\": \"nosuch.txt\"")).await.unwrap_err();
    plain().await.unwrap();
    assert_eq!(batch_size(), 16);
    server.repository.write("m/config.pbtxt", identity_config(4, ""));
    plain().await.unwrap();
    assert_eq!(batch_size(), 4);
    plain().await.unwrap();
    assert_eq!(batch_size(), 4);

    server.core.load("m", given("")).await.unwrap();
    server.core.unload("m", false).await.unwrap();
    plain().await.unwrap();
    assert_eq!(batch_size(), 4, "it went with what was unloaded");

    let files = vec![("7/anything".to_owned(), "x".into())];
    server.core.load("m", LoadOverrides { files: files.clone(), ..given("") }).await.unwrap();
    assert_eq!((batch_size(), server.core.model("m", None).unwrap().version), (16, 7));
    plain().await.unwrap();
    assert_eq!(
        (batch_size(), server.core.model("m", None).unwrap().version),
        (4, 2),
        "files hold for one load"
    );
    server.core.load("new", LoadOverrides { files, ..given("") }).await.unwrap();
    assert_eq!(server.core.model("new", None).unwrap().version, 7);
}

#[tokio::test]
async fn failed_loads_under_ever_new_names_leave_nothing_behind() {
    let server = TestServer::start(Repository::default().with("m", &identity_config(0, ""))).await;
    let before = server.core.metrics_page().lines().count();
    for number in 0..20 {
        let files = vec![("1/anything".to_owned(), "x".into())];
        let overrides = LoadOverrides { files, ..given(", \"label_filename\": \"nosuch.txt\"") };
        let error = server.core.load(&format!("new{number}"), overrides).await.unwrap_err();
        let expected = format!("from 'new{number}/nosuch.txt': ");
        assert!(
            error.message().contains(&expected),
            "the folder that it was in for a moment is not told: {error}"
        );
        server.core.load(&format!("nowhere{number}"), LoadOverrides::default()).await.unwrap_err();
    }
    let page = server.core.metrics_page();
    assert!(!page.contains("new1") && !page.contains("nowhere1"), "{page}");
    assert_eq!(page.lines().count(), before);
    let error = server.client().await.model_infer(fp32("new1", "", &[1], &[1.0])).await.unwrap_err();
    assert_eq!(error.message(), "Request for unknown model: 'new1' is not found");
    assert!(server.core.is_ready());
}

#[tokio::test]
async fn a_server_may_be_ready_with_what_it_serves() {
    let ready = async |models: &[(&str, &str)], readiness| {
        let repository =
            models.iter().fold(Repository::default(), |all, (name, config)| all.with(name, config));
        let (server, _) = TestServer::start_with(repository, |settings| settings.readiness = readiness).await;
        server.core.is_ready()
    };
    let good = identity_config(0, "");
    let (good, bad) = (("good", good.as_str()), ("bad", "backend: \"nosuch\""));
    let table =
        [(Readiness::All, [true, false, false, true]), (Readiness::Served, [true, true, false, true])];
    for (readiness, expected) in table.into_iter().chain([(Readiness::Started, [true; 4])]) {
        let cases = [&[good][..], &[good, bad], &[bad], &[]];
        for (models, expected) in cases.into_iter().zip(expected) {
            assert_eq!(ready(models, readiness).await, expected, "{readiness:?}, {models:?}");
        }
    }
}

#[tokio::test]
async fn names_that_lead_out_of_the_repository_are_refused() {
    let server = TestServer::start(Repository::default().with("m", &identity_config(0, ""))).await;
    for name in ["..", "../m", "m/1", "", "/etc", "a\0b"] {
        let error = server.core.load(name, LoadOverrides::default()).await.unwrap_err();
        assert_eq!(error.message(), format!("failed to load '{name}', failed to poll from model repository"));
    }
}

#[tokio::test]
async fn without_explicit_mode_nothing_is_loaded_by_request() {
    let repository = Repository::default().with("m", &identity_config(0, ""));
    let (server, faults) = TestServer::start_with(repository, |s| s.control_mode = ControlMode::None).await;
    assert!(faults.is_empty());
    let text = "explicit model load / unload is not allowed if polling is enabled";
    assert_eq!(server.core.load("m", LoadOverrides::default()).await.unwrap_err().message(), text);
    assert_eq!(server.core.unload("m", false).await.unwrap_err().message(), text);
    assert!(server.core.is_ready());
}
