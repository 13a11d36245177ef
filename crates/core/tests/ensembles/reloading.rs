//! What becomes of an ensemble when a model changes which it is made of.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hippocamp_backend::Response;

use crate::kit::{Gate, Scripted, Server, chain, input, output, stamp, stamped};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_sees_one_state_of_all_models_and_never_fails() {
    let server = Arc::new(Server::new(vec![stamp()]));
    server.write("m", &stamped(), Some(1));
    server.write("inner", &chain(&["m"]), None);
    server.write("ens", &chain(&["m", "inner", "m"]), None);
    server.load("ens").await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let mut clients = Vec::new();
    for _ in 0..4 {
        let (server, stop, answered) = (Arc::clone(&server), Arc::clone(&stop), Arc::clone(&answered));
        clients.push(tokio::spawn(async move {
            let mut seen = std::collections::BTreeSet::new();
            while !stop.load(Ordering::Relaxed) {
                let number = server.number("ens", 0).await.unwrap();
                assert_eq!(number % 111, 0, "three times the same digit: all steps ran the same load of m");
                seen.insert(number);
                answered.fetch_add(1, Ordering::Relaxed);
            }
            seen.len()
        }));
    }
    for _ in 0..40 {
        let before = answered.load(Ordering::Relaxed);
        server.load("m").await.unwrap();
        while answered.load(Ordering::Relaxed) < before + 8 {
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        assert!(client.await.unwrap() > 1, "requests really ran on several loads");
    }
}

#[tokio::test]
async fn an_ensemble_that_does_not_fit_any_more_goes_on_with_what_it_has() {
    let server = Server::new(vec![stamp()]);
    server.write("m", &stamped(), Some(1));
    server.write("ens", &chain(&["m"]), None);
    server.write("outer", &chain(&["ens"]), None);
    server.load("outer").await.unwrap();
    server.write("m", &stamped().replace("TYPE_INT32", "TYPE_UINT32"), Some(1));
    server.load("m").await.unwrap();
    assert_eq!(server.number("outer", 1).await.unwrap(), 10, "the former m");
    let (state, reason) = server.state("ens");
    assert_eq!(state, "READY");
    assert!(reason.contains("ensemble tensor IN: inconsistent data type"), "{reason}");
    assert!(server.core.is_live());
    server.write("m", &stamped(), Some(1));
    server.load("m").await.unwrap();
    assert_eq!(server.number("outer", 1).await.unwrap(), 12);
    assert_eq!(server.state("ens"), ("READY", String::new()));
    // The loads before are gone by now, or this would not return.
    server.core.unload("m", false).await.unwrap();
}

#[tokio::test]
async fn unloading_a_model_ends_its_ensembles_until_it_comes_back() {
    let server = Server::with(vec![stamp()], |settings| settings.load_models = vec!["*".to_owned()]);
    server.write("m", &stamped(), Some(1));
    server.write("ens", &chain(&["m"]), None);
    server.write("outer", &chain(&["ens"]), None);
    assert_eq!(server.core.load_repositories().await, [""; 0]);
    server.core.unload("m", false).await.unwrap();
    let text = "unloaded: ensemble ens contains models that are not available or ambiguous: m";
    assert_eq!(server.state("ens"), ("UNAVAILABLE", text.to_owned()));
    let error = server.number("outer", 1).await.unwrap_err();
    assert_eq!(error.message(), "Request for unknown model: 'outer' has no available versions");
    assert!(server.core.is_ready(), "somebody wanted it so");
    server.load("m").await.unwrap();
    assert_eq!(server.number("outer", 1).await.unwrap(), 11);
    server.core.unload("ens", false).await.unwrap();
    server.load("m").await.unwrap();
    assert!(!server.is_served("ens"), "it was unloaded itself");
}

#[tokio::test]
async fn an_ensemble_goes_on_counting_when_one_of_its_models_is_loaded_again() {
    let server = Server::new(vec![stamp()]);
    server.write("m", &stamped(), Some(1));
    server.write("ens", &chain(&["m", "m"]), None);
    server.load("ens").await.unwrap();
    server.number("ens", 1).await.unwrap();
    server.load("m").await.unwrap();
    server.number("ens", 1).await.unwrap();
    let counters = |name| server.core.statistics(name, None).unwrap().remove(0).counters;
    assert_eq!(counters("ens").success.count, 2);
    assert_eq!(counters("m").success.count, 2, "of the load that serves");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_unloaded_finishes_what_it_has_begun() {
    let gate = Arc::new(Gate::default());
    let slow = {
        let gate = Arc::clone(&gate);
        Scripted::backend("slow", move |_, request| {
            gate.pass();
            let outputs = [output(0, &[1], &input(request, 0))].into_iter().collect();
            Ok(Response { outputs, ..Response::default() })
        })
    };
    let server = Arc::new(Server::new(vec![slow, stamp()]));
    server.write("slow", &stamped().replace("stamp", "slow"), Some(1));
    server.write("m", &stamped(), Some(1));
    server.write("ens", &chain(&["slow", "m"]), None);
    server.load("ens").await.unwrap();
    let answer = server.ask("ens", &[1], &[3]).unwrap();
    let unloading = {
        let server = Arc::clone(&server);
        tokio::spawn(async move { server.core.unload("ens", true).await })
    };
    // Not served any more, but the second step is still to come.
    while server.is_served("ens") {
        tokio::task::yield_now().await;
    }
    gate.open();
    let response = answer.only().await.unwrap();
    assert_eq!(crate::kit::numbers(&response.outputs[0].data.to_host().unwrap()), [30]);
    unloading.await.unwrap().unwrap();
    assert!(!server.is_served("m") && !server.is_served("slow"));
}

#[tokio::test]
async fn the_server_stops_whatever_holds_on_to_whatever() {
    let server = Server::new(vec![stamp()]);
    server.write("m", &stamped(), Some(1));
    server.write("z", &chain(&["m"]), None);
    server.write("a", &chain(&["z", "m"]), None);
    server.load("a").await.unwrap();
    assert!(server.core.stop(Duration::from_mins(1)).await);
}
