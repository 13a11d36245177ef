//! Clients that disconnect or cancel, in every way: their requests are dropped before the batch is gathered, a running
//! backend is notified, and the cancellation is counted.

use std::sync::Arc;
use std::time::Duration;

use hippocamp_backend::{FailureReason, ResponseReceiver};
use hippocamp_core::InferRequest;
use hippocamp_testing::{Gate, Repository, TestServer, gate_config};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::requests::fp32;

/// How a client ends its request.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// The call is cancelled.
    GrpcCancel,
    /// The call's deadline passes.
    GrpcDeadline,
    /// The stream is reset while a request is in flight.
    GrpcStream,
    /// The socket is closed.
    HttpInfer,
    HttpGenerate,
    HttpGenerateStream,
}

const ALL: [Way; 6] = [
    Way::GrpcCancel,
    Way::GrpcDeadline,
    Way::GrpcStream,
    Way::HttpInfer,
    Way::HttpGenerate,
    Way::HttpGenerateStream,
];

/// A client with a request in flight. Dropping it disconnects, except for the one with a deadline.
enum Client {
    Task(tokio::task::JoinHandle<()>),
    Socket(#[expect(dead_code, reason = "held")] TcpStream),
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Client::Task(task) = self {
            task.abort();
        }
    }
}

impl Way {
    /// Sends a request to the model `m`. The call with a deadline ends by itself.
    async fn send(self, server: &TestServer) -> Client {
        let request = fp32("m", "victim", &[1], &[1.0]);
        match self {
            Way::GrpcCancel | Way::GrpcDeadline => {
                let mut client = server.client().await;
                let mut request = tonic::Request::new(request);
                if matches!(self, Way::GrpcDeadline) {
                    request.set_timeout(Duration::from_secs(1));
                }
                Client::Task(tokio::spawn(async move { drop(client.model_infer(request).await) }))
            }
            Way::GrpcStream => {
                let mut client = server.client().await;
                Client::Task(tokio::spawn(async move {
                    let (requests, stream) = mpsc::unbounded_channel();
                    requests.send(request).unwrap();
                    let stream = UnboundedReceiverStream::new(stream);
                    let mut replies = client.model_stream_infer(stream).await.unwrap().into_inner();
                    drop(replies.message().await);
                    drop(requests);
                }))
            }
            Way::HttpInfer => {
                let body = "{\"id\": \"victim\", \"inputs\": [{\"name\": \"INPUT0\", \"shape\": [1], \"datatype\": \
                            \"FP32\", \"data\": [1]}]}";
                post(server, "infer", body).await
            }
            Way::HttpGenerate => post(server, "generate", "{\"id\": \"victim\", \"INPUT0\": [1]}").await,
            Way::HttpGenerateStream => {
                post(server, "generate_stream", "{\"id\": \"victim\", \"INPUT0\": [1]}").await
            }
        }
    }
}

async fn post(server: &TestServer, action: &str, body: &str) -> Client {
    let mut socket = TcpStream::connect(server.http).await.unwrap();
    let length = body.len();
    let text =
        format!("POST /v2/models/m/{action} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}");
    socket.write_all(text.as_bytes()).await.unwrap();
    Client::Socket(socket)
}

async fn server(more: &str) -> (TestServer, Gate) {
    let gate = Gate::default();
    let repository = Repository::default().with("m", &gate_config(0, more));
    let (server, faults) =
        TestServer::start_with_backends(repository, |_| {}, vec![Arc::new(gate.clone())]).await;
    assert_eq!(faults, [""; 0]);
    (server, gate)
}

/// An in-process request.
fn infer(server: &TestServer, id: &str) -> ResponseReceiver {
    let request = InferRequest { id, ..InferRequest::new(smallvec::smallvec![]) };
    server.core.model("m", None).unwrap().infer(request).unwrap()
}

fn cancelled(server: &TestServer) -> u64 {
    server.core.statistics("m", None).unwrap()[0].counters.failures[FailureReason::Canceled as usize]
}

async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        yield_now().await;
    }
}

#[tokio::test]
async fn queued_work_is_dropped_before_it_is_gathered() {
    for way in ALL {
        // A full queue removes cancelled requests, which makes the cancellation visible to this test.
        let limit = "dynamic_batching { default_queue_policy { max_queue_size: 1 } }
            instance_group { count: 1 kind: KIND_CPU }";
        let (server, gate) = server(limit).await;
        let first = infer(&server, "first");
        gate.begun(1).await;
        let client = way.send(&server).await;
        let model = server.core.model("m", None).unwrap();
        until(|| model.pending() == 1).await;
        if !matches!(way, Way::GrpcDeadline) {
            drop(client);
        }
        let second = loop {
            let second = infer(&server, "second");
            if cancelled(&server) == 1 {
                break second;
            }
            let refused = second.only().await.unwrap_err();
            assert!(refused.message().ends_with("Exceeds maximum queue size"), "{way:?}: {refused}");
            yield_now().await;
        };
        gate.open(2);
        first.only().await.unwrap();
        second.only().await.unwrap();
        assert_eq!(gate.executions(), [["first"], ["second"]], "{way:?}");
        let page = server.scrape().await.text();
        for line in [
            "nv_inference_request_failure{model=\"m\",reason=\"CANCELED\",version=\"1\"} 1",
            "nv_inference_exec_count{model=\"m\",version=\"1\"} 2",
            "nv_inference_request_success{model=\"m\",version=\"1\"} 2",
        ] {
            assert!(page.lines().any(|l| l == line), "{way:?}: {line} is not on the page:\n{page}");
        }
    }
}

#[tokio::test]
async fn a_running_backend_learns_of_it() {
    for way in ALL {
        let decoupled = match way {
            Way::HttpGenerateStream | Way::GrpcStream => "model_transaction_policy { decoupled: true }",
            _ => "",
        };
        let (server, gate) = server(decoupled).await;
        let client = way.send(&server).await;
        assert_eq!(gate.begun(1).await, [["victim"]]);
        if !matches!(way, Way::GrpcDeadline) {
            drop(client);
        }
        until(|| gate.abandoned() == 1).await;
        until(|| cancelled(&server) == 1).await;
        let counters = server.core.statistics("m", None).unwrap().remove(0).counters;
        assert_eq!((counters.success.count, counters.execution_count), (0, 0), "{way:?}");
    }
}

#[tokio::test]
async fn who_is_gone_is_passed_over_without_a_policy_too() {
    let (server, gate) = server("instance_group { count: 1 kind: KIND_CPU }").await;
    let first = infer(&server, "first");
    gate.begun(1).await;
    let mut waiting: Vec<_> = ["a", "b", "c", "d"].map(|id| Some(infer(&server, id))).into();
    waiting[0] = None;
    waiting[2] = None;
    gate.open(3);
    first.only().await.unwrap();
    for receiver in waiting.into_iter().flatten() {
        receiver.only().await.unwrap();
    }
    assert_eq!(gate.executions(), [["first"], ["b"], ["d"]]);
    assert_eq!(cancelled(&server), 2);
}
