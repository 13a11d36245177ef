//! A repository that changes while its models stand by.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use hippocamp_core::{ControlMode, WatchSettings};

use crate::kit::{Server, infer};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_by_is_looked_at_anew_when_it_is_asked_for() {
    let server = Server::of(&["loaded", "asleep", "broken", "removed"], ControlMode::Poll, 300).await;
    server.scales.look(|weighed| weighed.broken.insert("broken".to_owned()));
    infer(&server.ask("loaded").await.unwrap()).await.unwrap();
    server.ask("broken").await.unwrap_err();
    let settings = WatchSettings { poll: Some(Duration::from_millis(200)), ..WatchSettings::default() };
    let watching = tokio::spawn(Arc::clone(&server.core).watch(settings));

    server.add("new", 100, "");
    while server.ask("new").await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(server.scales.loads("new"), 1);

    server.write("asleep/1/model", &[0; 120]);
    server.write("loaded/1/model", &[0; 130]);
    server.until("a reload", |server| server.scales.loads("loaded") == 2).await;
    assert_eq!(server.scales.loads("asleep"), 0);
    server.until("what it takes", |server| server.metric("nv_model_memory_used_bytes") == 130).await;
    // It may not have settled yet; then that is waited for.
    infer(&server.ask("asleep").await.unwrap()).await.unwrap();
    assert_eq!(server.metric("nv_model_memory_used_bytes"), 250, "the new one went for the reload");

    server.scales.look(|weighed| weighed.broken.clear());
    server.write("broken/1/model", &[0; 50]);
    let begin = std::time::Instant::now();
    while server.ask("broken").await.is_err() {
        assert!(begin.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    fs::remove_dir_all(server.repository.path().join("removed")).unwrap();
    let gone = |server: &Server| server.core.index(false).iter().all(|entry| entry.name != "removed");
    server.until("it is gone", gone).await;
    while server.core.is_model_ready("removed", None).await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(server.ask("removed").await.is_err());
    assert!(server.scales.look(|weighed| weighed.peak) <= 300, "also while it holds both");
    watching.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ensemble_that_serves_gets_a_new_model_that_stands_by() {
    let server = Server::new(ControlMode::Poll, 200);
    for name in ["a", "b"] {
        server.add(name, 100, "");
    }
    server.add_ensemble("e", "a");
    server.start().await;
    server.ask("e").await.unwrap();
    let settings = WatchSettings { poll: Some(Duration::from_millis(200)), ..WatchSettings::default() };
    let watching = tokio::spawn(Arc::clone(&server.core).watch(settings));
    server.add_ensemble("e", "b");
    server.until("b serves", |server| server.serving().contains(&"b".to_owned())).await;
    server.until("what it takes", |server| server.metric("nv_model_memory_used_bytes") == 200).await;
    assert_eq!(server.serving(), ["a", "b", "e"]);
    watching.abort();
}
