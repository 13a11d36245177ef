//! What goes wrong while a load runs.

use std::sync::Arc;
use std::time::Duration;

use hippocamp_bench::bench;
use hippocamp_testing::{Gate, Repository, TestServer, gate_config};

use crate::run::{arguments, results};

/// A server whose model `m` lets requests through as the gate does.
async fn server() -> (TestServer, Gate) {
    let gate = Gate::default();
    let repository = Repository::default().with("m", &gate_config(0, ""));
    let (server, faults) =
        TestServer::start_with_backends(repository, |_| {}, vec![Arc::new(gate.clone())]).await;
    assert_eq!(faults, [""; 0]);
    (server, gate)
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_requests_are_counted_by_their_error() {
    for protocol in ["http", "grpc"] {
        let (server, gate) = server().await;
        gate.open(1 + 5);
        let unload = async {
            gate.begun(1 + 5 + 1).await;
            // The model goes on answering until it is gone.
            gate.open(1_000_000);
            server.core.unload("m", false).await.unwrap();
        };
        let args = ["m", "--requests=5000", "--warm-up=0"];
        let (levels, ()) = tokio::join!(results(&server, protocol, &args), unload);
        let level = &levels[0];
        let (requests, failed) = (level["requests"].as_u64().unwrap(), level["failed"].as_u64().unwrap());
        assert_eq!(requests + failed, 5000, "{level}");
        assert!(requests >= 6 && failed > 0, "{level}");
        let errors = level["errors"].as_object().unwrap();
        assert!(errors.keys().all(|text| text.contains("'m'")), "{level}");
        assert_eq!(errors.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), failed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_ends_the_load_with_what_there_is() {
    for protocol in ["http", "grpc"] {
        let (server, gate) = server().await;
        gate.open(1 + 5);
        let args = arguments(&server, protocol, &["m", "--seconds=600", "--warm-up=0", "-c=2"]);
        let gone = async {
            gate.begun(1 + 5 + 1).await;
            gate.open(1_000_000);
            server.stop(Duration::from_mins(1)).await
        };
        let (report, _) = tokio::join!(bench(&args, None), gone);
        let report = report.unwrap();
        assert!(report.has_failures());
        let table = report.table();
        assert!(table.contains("given up, the server cannot be reached any more"), "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_without_an_answer_are_counted() {
    // A thread with one connection over HTTP blocks while it waits for it.
    for (protocol, concurrency) in [("http", 3), ("grpc", 3), ("http", 1), ("grpc", 1)] {
        let (server, gate) = server().await;
        gate.open(1 + 5);
        let concurrent = format!("-c={concurrency}");
        let args = ["m", "--requests=20", &concurrent, "--warm-up=0", "--timeout=2"];
        let levels = results(&server, protocol, &args).await;
        let level = &levels[0];
        let counts = ["requests", "failed", "unanswered"].map(|name| level[name].as_u64().unwrap());
        assert_eq!(counts, [5, concurrency, concurrency], "{level}");
    }
}
