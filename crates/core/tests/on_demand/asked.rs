//! The first request, and those that come at once with it.

use std::sync::Arc;

use hippocamp_backend::Code;
use hippocamp_core::{ControlMode, LoadOverrides};

use crate::kit::{Server, infer};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_requests_at_once_cause_one_load() {
    let server = Arc::new(Server::of(&["m"], ControlMode::None, 0).await);
    server.scales.stick("m");
    let mut clients = Vec::new();
    for _ in 0..50 {
        let server = Arc::clone(&server);
        clients.push(tokio::spawn(async move {
            let model = server.ask("m").await?;
            infer(&model).await
        }));
    }
    server.until("a load", |server| server.scales.loads("m") == 1).await;
    // Clients that go away.
    for client in clients.drain(..10) {
        client.abort();
    }
    server.scales.free("m");
    for client in clients {
        client.await.unwrap().unwrap();
    }
    assert_eq!(server.scales.loads("m"), 1);
    infer(&server.core.model("m", None).unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_load_goes_on_when_nobody_waits_any_more() {
    let server = Server::of(&["m"], ControlMode::None, 0).await;
    server.scales.stick("m");
    {
        let asked = server.ask("m");
        tokio::pin!(asked);
        assert!(futures_are_pending(&mut asked).await);
        server.until("a load", |server| server.scales.loads("m") == 1).await;
    }
    server.scales.free("m");
    server.until("the model", |server| server.core.model("m", None).is_ok()).await;
    assert_eq!(server.scales.loads("m"), 1);
}

/// Begins what is not done at once.
async fn futures_are_pending<F: Future>(future: &mut std::pin::Pin<&mut F>) -> bool {
    std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

#[tokio::test]
async fn a_broken_model_is_not_tried_for_each_request() {
    let server = Server::of(&["m", "other"], ControlMode::None, 0).await;
    server.scales.look(|weighed| weighed.broken.insert("m".to_owned()));
    for _ in 0..100 {
        let error = server.ask("m").await.unwrap_err();
        assert_eq!(error.code(), Code::Unavailable);
        let text = error.to_string();
        assert!(
            text.contains("model 'm' could not be loaded for the request") && text.contains("told to fail"),
            "{text}"
        );
    }
    assert_eq!(server.scales.loads("m"), 1);
    assert!(server.core.is_ready(), "the others are served");
    assert!(!server.core.is_model_ready("m", None).await && server.core.is_model_ready("other", None).await);
    let entry = server.core.index(false).into_iter().find(|entry| entry.name == "m").unwrap();
    assert_eq!(
        (entry.version.as_ref().unwrap().0, entry.version.as_ref().unwrap().1.state.name()),
        (1, "UNAVAILABLE")
    );
    assert!(entry.version.unwrap().1.reason.contains("told to fail"));
    infer(&server.ask("other").await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn the_index_has_the_reason_of_a_bad_config() {
    let server = Server::new(ControlMode::None, 0);
    server.add("m", 100, "max_batch_size: -1");
    server.start().await;
    let state = || server.core.index(false).remove(0).version.unwrap().1;
    assert_eq!(state().state.name(), "READY", "nobody has read it");
    assert!(server.ask("m").await.is_err());
    assert_eq!(state().state.name(), "UNAVAILABLE");
    assert!(state().reason.contains("could not be loaded for the request"), "{}", state().reason);
    assert!(state().reason.contains("max_batch_size"), "{}", state().reason);
}

#[tokio::test]
async fn only_what_stands_by_is_loaded() {
    let server = Server::of(&["m"], ControlMode::None, 0).await;
    for (name, version) in [("m", Some(7)), ("unknown", None), ("../m", None)] {
        let error = server.core.model_or_load(name, version).await.unwrap_err();
        assert!(error.to_string().starts_with("Request for unknown model: '"), "{error}");
        assert!(!server.core.is_model_ready(name, version).await);
    }
    server.add("later", 100, "");
    assert!(server.ask("later").await.is_err(), "it was not there when the server started");
    assert_eq!(server.scales.loads("m"), 0);
    assert_eq!(server.core.model_or_load("m", Some(1)).await.unwrap().version, 1);
    assert!(server.core.model_or_load("m", Some(7)).await.is_err());
}

#[tokio::test]
async fn what_a_client_unloads_stays_out_until_a_client_loads_it() {
    let server = Server::new(ControlMode::Explicit, 0);
    server.add("m", 100, "");
    server.add_ensemble("e", "m");
    server.start().await;
    server.ask("e").await.unwrap();
    server.core.unload("m", false).await.unwrap();
    server.until("memory", |server| server.scales.look(|weighed| weighed.held) == 0).await;
    assert!(server.ask("m").await.unwrap_err().to_string().starts_with("Request for unknown model"));
    let error = server.ask("e").await.unwrap_err();
    assert!(error.to_string().contains("composed of model 'm', which was unloaded"), "{error}");
    server.core.load("m", LoadOverrides::default()).await.unwrap();
    server.ask("e").await.unwrap();
    assert_eq!(server.metric("nv_model_memory_used_bytes"), 100);
}

#[tokio::test]
async fn models_that_the_settings_name_stand_by_with_what_they_are_made_of() {
    let server = Server::new(ControlMode::Explicit, 0);
    for name in ["m", "n"] {
        server.add(name, 100, "");
    }
    server.add_ensemble("inner", "m");
    server.add_ensemble("e", "inner");
    let settings =
        hippocamp_core::Settings { load_models: vec!["e".to_owned()], ..server.core.settings().clone() };
    let backend = crate::kit::Weighing(Arc::clone(&server.scales));
    let core = hippocamp_core::InferenceServer::new(settings, vec![Arc::new(backend)]);
    let server = Server { core, ..server };
    server.start().await;
    assert!(server.core.is_model_ready("m", None).await && server.core.is_model_ready("inner", None).await);
    assert!(!server.core.is_model_ready("n", None).await && server.ask("n").await.is_err());
    server.ask("e").await.unwrap();
    assert_eq!(server.serving(), ["e", "inner", "m"]);
}
