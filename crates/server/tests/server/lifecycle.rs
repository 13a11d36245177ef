//! Loading, reloading and unloading while requests run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hippocamp_core::{ControlMode, LoadOverrides};
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
        // Requests really ran between two reloads.
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

#[tokio::test]
async fn overrides_hold_for_one_load() {
    let server = TestServer::start(Repository::default().with("m", &identity_config(0, ""))).await;
    let batch_size = || server.core.model("m", None).unwrap().interface.max_batch_size;
    let config = r#"{"backend": "identity", "max_batch_size": 16,
        "input": [{"name": "INPUT0", "data_type": "TYPE_FP32", "dims": [-1]}],
        "output": [{"name": "OUTPUT0", "data_type": "TYPE_FP32", "dims": [-1]}]}"#;
    let overrides = LoadOverrides { config: Some(config.to_owned()), files: Vec::new() };
    server.core.load("m", overrides.clone()).await.unwrap();
    assert_eq!(batch_size(), 16);
    server.core.load("m", LoadOverrides::default()).await.unwrap();
    assert_eq!(batch_size(), 0);
    let files = vec![("7/anything".to_owned(), "x".into())];
    server.core.load("new", LoadOverrides { files, ..overrides }).await.unwrap();
    assert_eq!(server.core.model("new", None).unwrap().version, 7);
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
