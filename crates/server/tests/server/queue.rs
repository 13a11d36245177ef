//! Queue policies, priorities and order, as clients see them.

use std::sync::Arc;

use hippocamp_backend::FailureReason;
use hippocamp_core::Settings;
use hippocamp_proto::inference::{ModelInferRequest, ModelInferResponse};
use hippocamp_testing::{Gate, Repository, TestServer, gate_config};
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use crate::requests::{fp32, with};

/// A server of a model `m` with one instance, and the gate of its executions.
async fn server_with(
    max_batch_size: u32,
    more: &str,
    change: impl FnOnce(&mut Settings),
) -> (TestServer, Gate) {
    let gate = Gate::default();
    let more = format!("instance_group {{ count: 1 kind: KIND_CPU }}\n{more}");
    let repository = Repository::default().with("m", &gate_config(max_batch_size, &more));
    let (server, faults) =
        TestServer::start_with_backends(repository, change, vec![Arc::new(gate.clone())]).await;
    assert_eq!(faults, [""; 0]);
    (server, gate)
}

async fn server(max_batch_size: u32, more: &str) -> (TestServer, Gate) {
    server_with(max_batch_size, more, |_| {}).await
}

fn pending(server: &TestServer) -> usize {
    server.core.model("m", None).unwrap().pending()
}

type Call = JoinHandle<Result<ModelInferResponse, Status>>;

fn send(server: &TestServer, request: ModelInferRequest) -> Call {
    let address = server.grpc;
    tokio::spawn(async move {
        let address = format!("http://{address}");
        let client =
            hippocamp_services::inference::grpc_inference_service_client::GrpcInferenceServiceClient::connect(
                address,
            );
        client.await.unwrap().model_infer(request).await.map(tonic::Response::into_inner)
    })
}

/// Sends a request and waits until it is queued behind `before` others.
async fn queue(server: &TestServer, request: ModelInferRequest, before: usize) -> Call {
    let call = send(server, request);
    while pending(server) <= before {
        tokio::task::yield_now().await;
    }
    call
}

/// Sends a request that keeps the instance busy.
async fn busy(server: &TestServer, gate: &Gate) -> Call {
    let shape: &[i64] =
        if server.core.model("m", None).unwrap().interface.max_batch_size > 0 { &[1, 1] } else { &[1] };
    let call = send(server, fp32("m", "busy", shape, &[0.0]));
    gate.begun(1).await;
    call
}

/// A policy with an hour's timeout.
fn an_hour(allow_timeout_override: bool) -> String {
    format!(
        "dynamic_batching {{ default_queue_policy {{ default_timeout_microseconds: 3600000000
         allow_timeout_override: {allow_timeout_override} }} }}"
    )
}

#[tokio::test]
async fn a_late_request_is_refused_while_the_instance_is_busy() {
    let (server, gate) = server(0, &an_hour(true)).await;
    let first = busy(&server, &gate).await;
    let hurry = with(fp32("m", "late", &[1], &[0.0]), "timeout", 2000);
    let refused = send(&server, hurry).await.unwrap().unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::Unavailable, "Request timeout expired"));
    let body = b"{\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1]}],
        \"parameters\":{\"timeout\":2000}}";
    let refused = server.post("/v2/models/m/infer", body).await;
    assert_eq!((refused.status, &*refused.text()), (503, "{\"error\":\"Request timeout expired\"}"));
    gate.open(1);
    first.await.unwrap().unwrap();
    assert_eq!(gate.executions(), [["busy"]]);
    let line = "nv_inference_request_failure{model=\"m\",reason=\"REJECTED\",version=\"1\"} 2";
    let page = server.scrape().await.text();
    assert!(page.lines().any(|l| l == line), "{line} is not on the page:\n{page}");
}

#[tokio::test]
async fn a_late_request_that_goes_behind_others_makes_way_for_a_preferred_batch() {
    let policy = "dynamic_batching { preferred_batch_size: [ 4, 16 ] max_queue_delay_microseconds: 3600000000
        default_queue_policy { timeout_action: DELAY allow_timeout_override: true } }";
    let (server, gate) = server(16, policy).await;
    let hurry = with(fp32("m", "hurry", &[3, 1], &[0.0; 3]), "timeout", 200_000);
    let hurry = queue(&server, hurry, 0).await;
    let patient = send(&server, fp32("m", "patient", &[4, 1], &[0.0; 4]));
    // The two together would wait for an hour.
    assert_eq!(gate.begun(1).await, [["patient"]]);
    gate.open(2);
    patient.await.unwrap().unwrap();
    hurry.abort();
}

#[tokio::test]
async fn a_request_may_not_shorten_its_timeout_where_the_policy_does_not_let_it() {
    let (server, gate) = server(0, &an_hour(false)).await;
    let busy = busy(&server, &gate).await;
    let patient = queue(&server, with(fp32("m", "", &[1], &[0.0]), "timeout", 1), 0).await;
    gate.open(2);
    busy.await.unwrap().unwrap();
    patient.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_full_queue_refuses() {
    let (server, gate) = server(0, "dynamic_batching { default_queue_policy { max_queue_size: 2 } }").await;
    let mut calls = vec![busy(&server, &gate).await];
    for n in 0..2 {
        calls.push(queue(&server, fp32("m", "", &[1], &[0.0]), n).await);
    }
    let refused = send(&server, fp32("m", "7", &[1], &[0.0])).await.unwrap().unwrap_err();
    let text = "[request id: 7] Exceeds maximum queue size";
    assert_eq!((refused.code(), refused.message()), (Code::Unavailable, text));
    gate.open(3);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let counters = server.core.statistics("m", None).unwrap().remove(0).counters;
    assert_eq!(counters.failures[FailureReason::Rejected as usize], 1);
}

#[tokio::test]
async fn the_default_scheduler_has_no_policy() {
    let (server, gate) = server(0, "").await;
    let _busy = busy(&server, &gate).await;
    let call = queue(&server, with(fp32("m", "", &[1], &[0.0]), "timeout", 1), 0).await;
    gate.open(2);
    call.await.unwrap().unwrap();
}

#[tokio::test]
async fn higher_priorities_overtake() {
    let policy = "dynamic_batching { priority_levels: 3 default_priority_level: 2 }";
    let (server, gate) = server(1, policy).await;
    let mut calls = vec![busy(&server, &gate).await];
    for (n, (id, priority)) in
        [("low", 3), ("default", 0), ("unknown", 9), ("high", 1)].into_iter().enumerate()
    {
        let request = with(fp32("m", id, &[1, 1], &[0.0]), "priority", priority);
        calls.push(queue(&server, request, n).await);
    }
    gate.open(5);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(gate.executions(), [["busy"], ["high"], ["default"], ["unknown"], ["low"]]);
}

#[tokio::test]
async fn only_like_requests_share_a_batch() {
    let (server, gate) = server(8, "dynamic_batching { }").await;
    let mut calls = vec![busy(&server, &gate).await];
    let requests = [
        fp32("m", "a", &[1, 2], &[0.0; 2]),
        fp32("m", "b", &[3, 2], &[0.0; 6]),
        fp32("m", "c", &[1, 3], &[0.0; 3]),
        ModelInferRequest { inputs: vec![], raw_input_contents: vec![], ..fp32("m", "d", &[1], &[0.0]) },
    ];
    for (n, request) in requests.into_iter().enumerate() {
        calls.push(queue(&server, request, n).await);
    }
    gate.open(4);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(gate.executions(), [vec!["busy"], vec!["a", "b"], vec!["c"], vec!["d"]]);
    let counters = server.core.statistics("m", None).unwrap().remove(0).counters;
    assert_eq!(counters.batches.keys().copied().collect::<Vec<_>>(), [1, 4]);
    assert_eq!((counters.inference_count, counters.execution_count), (7, 4));
    let page = server.scrape().await.text();
    for line in [
        "nv_inference_batch_size_histogram_bucket{model=\"m\",version=\"1\",le=\"1\"} 3",
        "nv_inference_batch_size_histogram_bucket{model=\"m\",version=\"1\",le=\"4\"} 4",
        "nv_inference_batch_size_histogram_sum{model=\"m\",version=\"1\"} 7",
        "nv_inference_queue_depth_histogram_bucket{model=\"m\",version=\"1\",le=\"0\"} 2",
        "nv_inference_queue_depth_histogram_sum{model=\"m\",version=\"1\"} 6",
        "nv_inference_queue_depth_histogram_count{model=\"m\",version=\"1\"} 5",
    ] {
        assert!(page.lines().any(|l| l == line), "{line} is not on the page:\n{page}");
    }
}

#[tokio::test]
async fn responses_keep_the_order_of_their_requests() {
    let gate = Gate::default();
    let more = "dynamic_batching { preserve_ordering: true } instance_group { count: 2 kind: KIND_CPU }";
    let repository = Repository::default().with("m", &gate_config(1, more));
    let (server, _) = TestServer::start_with_backends(repository, |_| {}, vec![Arc::new(gate.clone())]).await;
    let first = send(&server, fp32("m", "first", &[1, 1], &[0.0]));
    gate.begun(1).await;
    let second = send(&server, fp32("m", "second", &[1, 1], &[0.0]));
    gate.begun(2).await;
    // Either execution may continue, but no response may overtake the first.
    gate.open(1);
    let model = server.core.model("m", None).unwrap();
    while model.statistics.snapshot().success.count < 1 {
        tokio::task::yield_now().await;
    }
    assert!(!second.is_finished());
    gate.open(1);
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_test_hook_collects_requests_first() {
    let (server, gate) =
        server_with(8, "dynamic_batching { }", |settings| settings.delay_scheduler = 3).await;
    let mut calls = Vec::new();
    for n in 0..2 {
        calls.push(queue(&server, fp32("m", "", &[1, 1], &[0.0]), n).await);
    }
    assert!(gate.executions().is_empty());
    calls.push(send(&server, fp32("m", "", &[1, 1], &[0.0])));
    assert_eq!(gate.begun(1).await[0].len(), 3);
    gate.open(1);
    for call in calls {
        call.await.unwrap().unwrap();
    }
}
