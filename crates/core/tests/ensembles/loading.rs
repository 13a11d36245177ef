//! In which order ensembles and their models are loaded, and what is said if that cannot be.

use std::sync::Arc;

use hippocamp_backend::{Backend, Model, ModelSource, Result};
use hippocamp_core::LoadOverrides;

use crate::kit::{Gate, ONE, Server, chain, stamp, stamped, step};

#[tokio::test]
async fn composing_models_are_loaded_first_also_those_of_ensembles_in_it() {
    let server = Server::new(vec![stamp()]);
    server.write("m", &stamped(), Some(1));
    server.write("inner", &chain(&["m", "m"]), Some(1));
    server.write("a-outer", &chain(&["inner", "m"]), None);
    server.load("a-outer").await.unwrap();
    assert_eq!(server.number("a-outer", 7).await.unwrap(), 7000, "m was loaded once, as generation 0");
    assert_eq!(server.state("inner"), ("READY", String::new()));
    let metadata = server.core.model_metadata("a-outer", None).await.unwrap();
    assert_eq!((metadata.platform.as_str(), metadata.versions.as_slice()), ("ensemble", &[1][..]));
}

#[tokio::test]
async fn the_first_load_of_a_repository_follows_the_dependencies() {
    let server = Server::with(vec![stamp()], |settings| {
        settings.load_models = vec!["*".to_owned()];
        settings.model_load_thread_count = 1;
    });
    server.write("z", &stamped(), Some(1));
    server.write("a", &chain(&["b", "z"]), None);
    server.write("b", &chain(&["z"]), Some(1));
    assert_eq!(server.core.load_repositories().await, [""; 0]);
    assert!(server.core.is_ready());
    assert_eq!(server.number("a", 1).await.unwrap(), 100);
}

#[tokio::test]
async fn a_model_that_is_served_is_not_loaded_again_for_an_ensemble_unless_it_changed() {
    let server = Server::new(vec![stamp()]);
    server.write("m", &stamped(), Some(1));
    server.write("ens", &chain(&["m"]), None);
    server.load("m").await.unwrap();
    server.load("ens").await.unwrap();
    server.load("ens").await.unwrap();
    assert_eq!(server.number("ens", 1).await.unwrap(), 10);
    server.write("m", &stamped(), Some(2));
    server.load("ens").await.unwrap();
    assert_eq!(server.number("ens", 1).await.unwrap(), 11);
    assert_eq!(server.core.model("m", None).unwrap().version, 2);
}

#[tokio::test]
async fn what_is_missing_is_named_and_heals_when_it_comes() {
    let server = Server::new(vec![stamp()]);
    server.write("ens", &chain(&["gone", "m", "away"]), Some(1));
    server.write("m", &stamped(), Some(1));
    let error = server.load("ens").await.unwrap_err();
    let text = "ensemble ens contains models that are not available or ambiguous: away, gone";
    assert_eq!(error.message(), format!("load failed for model 'ens': {text}"));
    assert_eq!(server.state("ens"), ("UNAVAILABLE", format!("Invalid argument: {text}")));
    for name in ["gone", "away"] {
        server.write(name, &stamped(), Some(1));
        server.load(name).await.unwrap();
    }
    assert_eq!(server.number("ens", 1).await.unwrap(), 1102, "m, gone and away in the order of their loads");
    assert_eq!(server.state("ens"), ("READY", String::new()));
}

#[tokio::test]
async fn a_server_is_ready_once_what_was_missing_is_there() {
    let server = Server::with(vec![stamp()], |settings| settings.load_models = vec!["*".to_owned()]);
    server.write("ens", &chain(&["m"]), None);
    let faults = server.core.load_repositories().await;
    assert!(faults.concat().contains("not available or ambiguous: m"), "{faults:?}");
    assert!(!server.core.is_ready());
    server.write("m", &stamped(), Some(1));
    server.load("m").await.unwrap();
    assert!(server.core.is_ready() && server.is_served("ens"));
}

#[tokio::test]
async fn what_a_request_brought_along_is_left_alone() {
    let server = Server::new(vec![stamp()]);
    server.write("m", &stamped(), Some(1));
    server.write("ens", &chain(&["m"]), None);
    server.load("m").await.unwrap();
    let config = r#"{"backend": "stamp",
        "input": [{"name": "IN", "data_type": "TYPE_INT32", "dims": [1]}],
        "output": [{"name": "OUT", "data_type": "TYPE_INT32", "dims": [-1]}]}"#;
    let overrides = LoadOverrides { config: Some(config.to_owned()), ..LoadOverrides::default() };
    server.core.load("m", overrides).await.unwrap();
    server.load("ens").await.unwrap();
    assert_eq!(server.number("ens", 1).await.unwrap(), 11, "the second load of m");
}

/// Models of the backend `stamp`, which are loaded when the gate is open.
#[derive(Debug)]
struct Late {
    gate: Arc<Gate>,
    stamp: Arc<dyn Backend>,
}

impl Backend for Late {
    fn name(&self) -> &'static str {
        "late"
    }

    fn load(&self, source: &ModelSource) -> Result<Box<dyn Model>> {
        self.gate.pass();
        self.stamp.load(source)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_unloads_a_part_waits_for_the_ensemble_that_is_being_loaded() {
    let gate = Arc::new(Gate::default());
    let late = Late { gate: Arc::clone(&gate), stamp: stamp() };
    let server = Arc::new(Server::new(vec![stamp(), Arc::new(late)]));
    server.write("early", &stamped(), Some(1));
    server.write("late", &stamped().replace("stamp", "late"), Some(1));
    server.write("ens", &chain(&["early", "late"]), None);
    let (of_load, of_unload) = (Arc::clone(&server), Arc::clone(&server));
    let load = tokio::spawn(async move { of_load.load("ens").await });
    while !server.is_served("early") {
        tokio::task::yield_now().await;
    }
    let mut unload = std::pin::pin!(of_unload.core.unload("early", false));
    for _ in 0..100 {
        assert!(futures_now(unload.as_mut()).await.is_none(), "it is not its turn");
        assert!(server.is_served("early"));
        tokio::task::yield_now().await;
    }
    gate.open();
    load.await.unwrap().unwrap();
    unload.await.unwrap();
    assert!(!server.is_served("early") && !server.is_served("ens") && server.is_served("late"));
}

/// What the future is ready with by now.
async fn futures_now<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn an_output_without_labels_has_those_of_the_model_that_makes_it() {
    let server = Server::new(vec![stamp()]);
    let labelled = stamped().replace("\"OUT\"", "\"OUT\" label_filename: \"labels.txt\"");
    server.write("m", &labelled, Some(1));
    std::fs::write(server.repository.path().join("m/labels.txt"), "cat\ndog\n").unwrap();
    server.write("ens", &chain(&["m"]), None);
    server.load("ens").await.unwrap();
    assert_eq!(server.core.model("ens", None).unwrap().label("OUT", 1), Some("dog"));
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_is_why_the_ensemble_cannot() {
    let server = Server::new(vec![stamp()]);
    server.write("bad", &stamped().replace("stamp", "nosuch"), Some(1));
    server.write("ens", &chain(&["bad"]), Some(1));
    server.write("outer", &chain(&["ens"]), Some(1));
    let error = server.load("outer").await.unwrap_err();
    let expected = "load failed for model 'outer': ensemble 'outer' depends on 'ens' which has no loaded version. \
                    Model 'ens' loading failed with error: version 1 is at UNAVAILABLE state: Invalid argument: \
                    ensemble 'ens' depends on 'bad' which has no loaded version. Model 'bad' loading failed with \
                    error: version 1 is at UNAVAILABLE state: Invalid argument: ";
    assert!(error.message().starts_with(expected), "{error}");
    assert!(error.message().contains("there is no backend 'nosuch'"), "{error}");
}

#[tokio::test]
async fn a_version_that_is_not_there_is_named() {
    let server = Server::new(vec![stamp()]);
    server.write("m", &format!("{} version_policy {{ all {{ }} }}", stamped()), Some(1));
    let ensemble = |version| format!("{ONE} ensemble_scheduling {{ {} }}", step("m", version, "IN", "OUT"));
    server.write("ens", &ensemble(3), None);
    let error = server.load("ens").await.unwrap_err();
    let text = "ensemble 'ens' depends on 'm' whose required version 3 is not loaded.";
    assert_eq!(error.message(), format!("load failed for model 'ens': {text}"));
    server.write("ens", &ensemble(1), None);
    server.load("ens").await.unwrap();
    server.write("m", &format!("{} version_policy {{ all {{ }} }}", stamped()), Some(2));
    server.load("m").await.unwrap();
    // Version 1 goes on as it was; only version 2 is loaded, as the second one.
    assert_eq!(server.number("m", 5).await.unwrap(), 51);
    assert_eq!(server.number("ens", 5).await.unwrap(), 50, "version 1");
    server.write("ens", &ensemble(0), None);
    server.load("ens").await.unwrap();
    assert_eq!(server.number("ens", 5).await.unwrap(), 51, "no version given: the latest");
}

#[tokio::test]
async fn ensembles_that_need_each_other_are_refused() {
    let server = Server::with(vec![stamp()], |settings| settings.load_models = vec!["*".to_owned()]);
    server.write("m", &stamped(), Some(1));
    server.write("a", &chain(&["b", "m"]), Some(1));
    server.write("b", &chain(&["c"]), Some(1));
    server.write("c", &chain(&["a"]), Some(1));
    server.write("self", &chain(&["self"]), Some(1));
    let faults = server.core.load_repositories().await.join("\n");
    for circle in
        ["a -> ... -> c -> a", "b -> ... -> a -> b", "c -> ... -> b -> c", "self -> ... -> self -> self"]
    {
        assert!(faults.contains(&format!("circular dependency between ensembles: {circle}")), "{faults}");
    }
    assert!(server.is_served("m"), "the others are not harmed");
    server.write("c", &stamped(), Some(1));
    server.load("a").await.unwrap();
    assert!(server.number("a", 1).await.is_ok());
}

#[tokio::test]
async fn a_circle_through_a_config_that_came_with_a_request_is_refused_too() {
    let server = Server::new(vec![stamp()]);
    server.write("m", &stamped(), Some(1));
    server.write("inner", &chain(&["m"]), Some(1));
    server.write("outer", &chain(&["inner"]), Some(1));
    server.load("outer").await.unwrap();
    let config = r#"{"platform": "ensemble",
        "input": [{"name": "IN", "data_type": "TYPE_INT32", "dims": [1]}],
        "output": [{"name": "OUT", "data_type": "TYPE_INT32", "dims": [1]}],
        "ensemble_scheduling": {"step": [{"model_name": "outer", "model_version": -1,
            "input_map": {"IN": "IN"}, "output_map": {"OUT": "OUT"}}]}}"#;
    let overrides = LoadOverrides { config: Some(config.to_owned()), ..LoadOverrides::default() };
    let error = server.core.load("inner", overrides).await.unwrap_err();
    assert!(error.message().contains("circular dependency between ensembles: inner -> ... -> "), "{error}");
    assert_eq!(server.number("outer", 1).await.unwrap(), 10, "what served goes on");
}

#[tokio::test]
async fn unloading_takes_along_what_was_loaded_only_for_it() {
    let server = Server::new(vec![stamp()]);
    for name in ["own", "shared", "asked"] {
        server.write(name, &stamped(), Some(1));
    }
    server.write("inner", &chain(&["own"]), None);
    server.write("ens", &chain(&["inner", "shared", "asked"]), None);
    server.write("other", &chain(&["shared"]), None);
    server.load("asked").await.unwrap();
    server.load("ens").await.unwrap();
    server.load("other").await.unwrap();
    server.core.unload("ens", true).await.unwrap();
    let still = ["ens", "inner", "own", "shared", "asked", "other"].map(|name| server.is_served(name));
    assert_eq!(still, [false, false, false, true, true, true]);
    server.core.unload("other", false).await.unwrap();
    assert!(server.is_served("shared"), "dependents go only if that is asked for");
}
