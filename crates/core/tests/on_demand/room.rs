//! The budget, and who goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hippocamp_backend::Code;
use hippocamp_core::{ControlMode, LoadOverrides};

use crate::kit::{Server, infer};

fn peak(server: &Server) -> u64 {
    server.scales.look(|weighed| weighed.peak)
}

#[tokio::test]
async fn the_least_recently_used_goes() {
    let server = Server::of(&["a", "b", "c"], ControlMode::None, 250).await;
    for name in ["a", "b", "a", "c"] {
        infer(&server.ask(name).await.unwrap()).await.unwrap();
    }
    assert_eq!(server.serving(), ["a", "c"]);
    assert_eq!(server.metric("nv_model_memory_used_bytes"), 200);
    infer(&server.ask("b").await.unwrap()).await.unwrap();
    assert_eq!(server.serving(), ["b", "c"]);
    assert_eq!((peak(&server), server.scales.loads("b")), (200, 2));
    assert_eq!(server.metric("nv_model_memory_budget_bytes"), 250);
    assert_eq!(server.metric("nv_model_standby_count"), 1);
    assert!(server.core.metrics_page().contains("nv_model_eviction{model=\"b\"} 1"));
}

#[tokio::test]
async fn a_model_beyond_the_budget_is_refused_and_nobody_goes_for_it() {
    let server = Server::of(&["a"], ControlMode::None, 250).await;
    server.add("huge", 126, "instance_group { count: 2 kind: KIND_CPU }");
    server.core.load_repositories().await;
    server.ask("a").await.unwrap();
    let error = server.ask("huge").await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    let text = error.to_string();
    assert!(text.contains("'huge'") && text.contains("252 bytes") && text.contains("250 bytes"), "{text}");
    assert_eq!(server.serving(), ["a"]);
    assert_eq!(server.scales.loads("huge"), 0);
}

#[tokio::test]
async fn what_a_client_loads_stays() {
    let server = Server::of(&["a", "b", "c"], ControlMode::Explicit, 200).await;
    server.core.load("a", LoadOverrides::default()).await.unwrap();
    for name in ["b", "c", "b"] {
        server.ask(name).await.unwrap();
    }
    assert_eq!(server.serving(), ["a", "b"]);
    server.core.load("b", LoadOverrides::default()).await.unwrap_err();
    assert_eq!(server.serving(), ["a", "b"], "there is no room for it twice");
    server.core.unload("b", false).await.unwrap();
    server.core.load("b", LoadOverrides::default()).await.unwrap();
    let error = server.ask("c").await.unwrap_err().to_string();
    assert!(
        error.contains("no room for the 100 bytes of model 'c'") && error.contains("200 are used"),
        "{error}"
    );
    server.core.unload("a", false).await.unwrap();
    assert!(server.ask("a").await.is_err());
    assert_eq!(peak(&server), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_runs_goes_last_and_is_waited_for() {
    let server = Arc::new(Server::of(&["a", "b", "c"], ControlMode::None, 200).await);
    let model = server.ask("a").await.unwrap();
    server.scales.stick("a");
    let running = tokio::spawn(async move { infer(&model).await });
    server.ask("b").await.unwrap();
    server.ask("c").await.unwrap();
    assert_eq!(server.serving(), ["a", "c"], "b was used later, and idle");
    let model = server.ask("c").await.unwrap();
    server.scales.stick("c");
    let other = tokio::spawn(async move { infer(&model).await });
    let asking = {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            let model = server.ask("b").await?;
            infer(&model).await
        })
    };
    server.until("an end", |server| server.serving().len() < 2).await;
    assert_eq!(server.scales.loads("b"), 1, "the memory is not back");
    server.scales.free("a");
    server.scales.free("c");
    for task in [running, other, asking] {
        task.await.unwrap().unwrap();
    }
    assert_eq!(peak(&server), 200);
}

#[tokio::test]
async fn an_ensemble_and_its_models_are_used_together_and_go_together() {
    let server = Server::new(ControlMode::None, 200);
    for name in ["a", "b", "c"] {
        server.add(name, 100, "");
    }
    server.add_ensemble("e", "a");
    server.start().await;
    server.ask("e").await.unwrap();
    server.ask("b").await.unwrap();
    server.ask("e").await.unwrap();
    server.ask("c").await.unwrap();
    assert_eq!(server.serving(), ["a", "c", "e"], "a is used when e is");
    server.ask("b").await.unwrap();
    assert_eq!(server.serving(), ["b", "c"]);
    server.ask("e").await.unwrap();
    assert_eq!(server.serving(), ["a", "b", "e"]);
    assert_eq!((peak(&server), server.metric("nv_model_memory_used_bytes")), (200, 200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_models_come_and_go() {
    come_and_go(300).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_where_there_is_room_for_one_model() {
    come_and_go(100).await;
}

async fn come_and_go(budget: u64) {
    let names: Vec<String> = (0..12).map(|number| format!("m{number}")).collect();
    let server = Server::new(ControlMode::None, budget);
    for name in &names {
        server.add(name, 100, "");
    }
    server.add_ensemble("e0", "m0");
    server.add_ensemble("e1", "e0");
    server.start().await;
    let server = Arc::new(server);
    let asked: Arc<Vec<String>> =
        Arc::new(names.into_iter().chain(["e0".to_owned(), "e1".to_owned()]).collect());
    let answered = Arc::new(AtomicUsize::new(0));
    let clients = (0..8usize).map(|client| {
        let (server, asked, answered) = (Arc::clone(&server), Arc::clone(&asked), Arc::clone(&answered));
        tokio::spawn(async move {
            let mut random = client * 7919 + 1;
            for _ in 0..60 {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let name = &asked[(random >> 33) % asked.len()];
                let model = server.ask(name).await.unwrap_or_else(|e| panic!("{name}: {e}"));
                if name.starts_with('m') {
                    infer(&model).await.unwrap_or_else(|e| panic!("{name}: {e}"));
                }
                let used = server.metric("nv_model_memory_used_bytes");
                assert!(used <= budget, "{used} bytes are used");
                answered.fetch_add(1, Ordering::SeqCst);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    assert_eq!(answered.load(Ordering::SeqCst), 480);
    assert!(peak(&server) <= budget, "{} bytes were held", peak(&server));
    server
        .until("memory", |server| {
            server.metric("nv_model_memory_used_bytes") == server.scales.look(|weighed| weighed.held)
        })
        .await;
}
