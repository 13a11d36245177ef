//! Requests that are queued or running when the server stops, and requests whose client is gone.

use std::sync::Arc;
use std::time::Duration;

use hippocamp_testing::{Gate, Repository, TestServer, gate_config, identity_config};

use crate::requests::{fp32, values};

const SLOW: &str = "parameters { key: \"execute_delay_ms\" value { string_value: \"100\" } }";

/// Waits until `count` requests are queued beside the one that runs.
async fn until_pending(server: &TestServer, count: usize) {
    while server.core.model("m", None).unwrap().pending() < count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_runs_and_what_waits_is_answered_before_the_end() {
    let server = TestServer::start(Repository::default().with("m", &identity_config(0, SLOW))).await;
    let mut calls = Vec::new();
    for n in 0..3u8 {
        let mut client = server.client().await;
        calls.push(tokio::spawn(
            async move { client.model_infer(fp32("m", "", &[1], &[f32::from(n)])).await },
        ));
    }
    until_pending(&server, 2).await;
    assert!(server.stop(Duration::from_secs(20)).await);
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(values(&call.await.unwrap().unwrap().into_inner()), [n as f32]);
    }
}

#[tokio::test]
async fn a_request_whose_client_hung_up_is_not_executed() {
    let gate = Gate::default();
    let repository =
        Repository::default().with("m", &gate_config(0, "instance_group { count: 1 kind: KIND_CPU }"));
    let (server, _) = TestServer::start_with_backends(repository, |_| {}, vec![Arc::new(gate.clone())]).await;
    let mut calls = Vec::new();
    for pending in 0..4 {
        let mut client = server.client().await;
        calls.push(tokio::spawn(async move { client.model_infer(fp32("m", "", &[1], &[1.0])).await }));
        gate.begun(1).await;
        until_pending(&server, pending).await;
    }
    let first = calls.remove(0);
    for call in calls {
        call.abort();
    }
    while !server.scrape().await.text().lines().any(|line| line == "nv_server_open_requests 1") {
        tokio::task::yield_now().await;
    }
    gate.open(4);
    first.await.unwrap().unwrap();
    let counters = loop {
        let counters = server.core.statistics("m", None).unwrap().remove(0).counters;
        if counters.success.count + counters.fail.count == 4 {
            break counters;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((counters.success.count, counters.execution_count), (1, 1));
}
