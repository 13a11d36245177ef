//! Limits for slow clients and for those that use too many resources.

use std::sync::Arc;
use std::time::Duration;

use hippocamp_backend::Backend;
use hippocamp_net::Limits;
use hippocamp_proto::inference::ServerLiveRequest;
use hippocamp_testing::{Gate, Repository, TestServer, gate_config, identity_config, limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

use crate::frames::{DATA, END_STREAM, Link, RST_STREAM, SETTINGS};
use crate::requests::{fp32, raw};

const SHORT: Duration = Duration::from_millis(300);
const INFER: &str = "/inference.GRPCInferenceService/ModelInfer";

async fn start(limits: Limits) -> TestServer {
    start_with(limits, Repository::default().with("m", &identity_config(0, "")), vec![]).await
}

async fn start_with(limits: Limits, repository: Repository, more: Vec<Arc<dyn Backend>>) -> TestServer {
    let (server, faults) = TestServer::start_within(limits, repository, |_| {}, more).await;
    assert_eq!(faults, [""; 0]);
    server
}

/// Sends `bytes`, and reads to the end of the connection.
async fn exchange(server: &TestServer, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(server.http).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    let mut reply = Vec::new();
    socket.read_to_end(&mut reply).await.unwrap();
    String::from_utf8_lossy(&reply).into_owned()
}

async fn until_metric(server: &TestServer, line: &str) {
    loop {
        let page = server.scrape().await.text();
        if page.lines().any(|l| l == line) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_head_that_does_not_come_ends_the_connection() {
    let server = start(Limits { header_time: SHORT, ..limits() }).await;
    for begin in ["GET /v2/health/live HTTP/1.1\r\nHost:", "PRI * HTTP/2", "G"] {
        assert_eq!(exchange(&server, begin.as_bytes()).await, "", "{begin}");
    }
    until_metric(&server, "nv_server_connections_ended{reason=\"header\"} 3").await;
    let mut late = TcpStream::connect(server.grpc).await.unwrap();
    late.write_all(b"PRI * HTTP/2").await.unwrap();
    assert_eq!(late.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let server = start(Limits { body_time: SHORT, ..limits() }).await;
    let request = "POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{";
    let reply = exchange(&server, request.as_bytes()).await.to_lowercase();
    assert!(reply.starts_with("http/1.1 408 "), "{reply}");
    assert!(reply.contains("connection: close") && reply.contains("--body-timeout-secs"), "{reply}");

    let mut link = Link::open(server.grpc).await;
    link.call(1, INFER).await;
    link.send(DATA, 0, 1, &[0, 0, 0, 0, 9, 1]).await;
    let frames = link.answer(1).await;
    let text = String::from_utf8_lossy(&frames[0].payload);
    assert!(frames[0].flags & END_STREAM != 0, "{frames:?}");
    // The status is a literal; the message is Huffman-coded.
    assert!(!text.is_empty());
    until_metric(&server, "nv_server_connections_ended{reason=\"body\"} 2").await;
    // A stream may be silent between messages, but not within one.
    let mut link = Link::open(server.grpc).await;
    link.call(1, "/inference.GRPCInferenceService/ModelStreamInfer").await;
    link.call(3, "/inference.GRPCInferenceService/ModelStreamInfer").await;
    link.send(DATA, 0, 3, &[0, 0, 0, 0, 9, 1]).await;
    link.answer(3).await;
    until_metric(&server, "nv_server_connections_ended{reason=\"body\"} 3").await;
    until_metric(&server, "nv_server_open_requests 1").await;
}

#[tokio::test]
async fn a_connection_without_requests_is_closed() {
    let server = start(Limits { idle_time: SHORT, ..limits() }).await;
    assert_eq!(exchange(&server, b"").await, "");
    let reply = exchange(&server, b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(reply.starts_with("HTTP/1.1 200 OK"), "{reply}");
    let mut link = Link::open(server.grpc).await;
    while link.next().await.is_some() {}
    until_metric(&server, "nv_server_connections_ended{reason=\"idle\"} 3").await;
    // gRPC clients reconnect without an error.
    let mut client = server.client().await;
    client.server_live(ServerLiveRequest {}).await.unwrap();
    until_metric(&server, "nv_server_connections{port=\"grpc\"} 0").await;
    client.server_live(ServerLiveRequest {}).await.unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_is_let_go() {
    let server = start(Limits { write_time: SHORT, ..limits() }).await;
    let body = vec![0; 16 << 20];
    let mut socket = TcpStream::connect(server.http).await.unwrap();
    let head = format!(
        "POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nInference-Header-Content-Length: 0\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(&body).await.unwrap();
    until_metric(&server, "nv_server_connections_ended{reason=\"write\"} 1").await;
    // With HTTP/2 the connection would accept more, but the stream does not.
    let mut link = Link::open(server.grpc).await;
    link.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).await;
    link.call(1, "/inference.GRPCInferenceService/ServerLive").await;
    link.send(DATA, END_STREAM, 1, &[0; 5]).await;
    while link.next().await.is_some() {}
    until_metric(&server, "nv_server_connections_ended{reason=\"write\"} 2").await;
    until_metric(&server, "nv_server_inflight_bytes 0").await;
}

#[tokio::test]
async fn streams_of_a_connection_are_limited() {
    let server = start(Limits { streams: 2, ..limits() }).await;
    let mut link = Link::open(server.grpc).await;
    for stream in [1, 3, 5] {
        link.call(stream, INFER).await;
    }
    let refused = link.answer(5).await;
    assert_eq!((refused[0].kind, &refused[0].payload[..]), (RST_STREAM, &7u32.to_be_bytes()[..]));
}

#[tokio::test]
async fn connections_beyond_the_limit_get_the_health_and_a_reason() {
    let gate = Gate::default();
    let repository =
        Repository::default().with("m", &gate_config(0, "instance_group { count: 2 kind: KIND_CPU }"));
    let server =
        start_with(Limits { connections: 2, ..limits() }, repository, vec![Arc::new(gate.clone())]).await;
    let mut busy = Vec::new();
    for n in 1..=2 {
        let mut client = server.client().await;
        busy.push(tokio::spawn(async move { client.model_infer(fp32("m", "", &[1], &[1.0])).await }));
        gate.begun(n).await;
    }
    let refused = server.get("/v2/models/m/config").await;
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("--max-connections"), "{}", refused.text());
    assert!(refused.head.to_lowercase().contains("connection: close"), "{}", refused.head);
    assert_eq!(server.get("/v2/health/ready").await.status, 200);
    let mut client = server.client().await;
    assert!(client.server_live(ServerLiveRequest {}).await.unwrap().into_inner().live);
    let refused = client.model_infer(fp32("m", "", &[1], &[1.0])).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("--max-connections"), "{refused}");
    until_metric(&server, "nv_server_connections{port=\"metrics\"} 1").await;
    gate.open(2);
    for call in busy {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn an_idle_connection_makes_place_for_a_new_one() {
    let server = start(Limits { connections: 1, ..limits() }).await;
    let mut idle = TcpStream::connect(server.http).await.unwrap();
    loop {
        // Refused until the other connection was idle for a second.
        if server.get("/v2").await.status == 200 {
            break;
        }
    }
    assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
    until_metric(&server, "nv_server_connections_ended{reason=\"evicted\"} 1").await;
}

#[tokio::test]
async fn bytes_are_held_up_to_the_limit() {
    let server = start(Limits { held_bytes: 1 << 20, ..limits() }).await;
    let small = fp32("m", "", &[1], &[1.0]);
    let large = raw("m", "", "FP32", &[1 << 19], vec![0; 2 << 20]);
    let mut client = server.client().await;
    client.model_infer(small.clone()).await.unwrap();
    let refused = client.model_infer(large.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("--max-inflight-bytes"), "{refused}");
    let announced = server.post("/v2/models/m/infer", &vec![b' '; 2 << 20]).await;
    assert_eq!(announced.status, 503, "{}", announced.text());
    assert!(announced.text().contains("--max-inflight-bytes"), "{}", announced.text());
    let chunk = format!("80000\r\n{}\r\n", " ".repeat(0x80000));
    let chunked = format!(
        "POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(4)
    );
    let reply = exchange(&server, chunked.as_bytes()).await;
    assert!(reply.starts_with("HTTP/1.1 503 "), "{reply}");
    // Within a stream only the message is refused, and its bytes are released, whether it was complete or not.
    let refused = client.model_stream_infer(tokio_stream::iter([large])).await;
    let error = match refused {
        Err(error) => error,
        Ok(stream) => stream.into_inner().message().await.unwrap_err(),
    };
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    until_metric(&server, "nv_server_inflight_bytes 0").await;
    // Ten times the limit, one after the other.
    for _ in 0..10 {
        let some = tokio_stream::iter((0..10).map(|_| raw("m", "", "FP32", &[1 << 12], vec![0; 4 << 12])));
        let mut replies = client.model_stream_infer(some).await.unwrap().into_inner();
        while let Some(reply) = replies.message().await.unwrap() {
            assert_eq!(reply.error_message, "");
        }
    }
    until_metric(&server, "nv_server_inflight_bytes 0").await;
}

/// Hundreds of silent connections stand before it in the queue; each would keep its place for two seconds.
#[tokio::test]
async fn silent_connections_keep_nobody_from_the_health() {
    let server = start(Limits { connections: 2, ..limits() }).await;
    let mut silent = Vec::new();
    for index in 0..400 {
        let mut socket = TcpStream::connect(server.http).await.unwrap();
        if index % 2 == 1 {
            socket.write_all(b"GET /v2/he").await.unwrap();
        }
        silent.push(socket);
    }
    let request = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let reply = tokio::time::timeout(Duration::from_secs(10), exchange(&server, request)).await;
    assert!(reply.expect("health is not answered").starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn the_metrics_port_keeps_few_connections() {
    let server = start(limits()).await;
    let mut silent = Vec::new();
    for _ in 0..150 {
        silent.push(TcpStream::connect(server.metrics).await.unwrap());
    }
    // One connection more than the limit may be about to end.
    let few: Vec<String> =
        (1..=65).map(|count| format!("nv_server_connections{{port=\"metrics\"}} {count}")).collect();
    let until_few = async {
        while !server.scrape().await.text().lines().any(|line| few.iter().any(|few| few == line)) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), until_few).await.expect("150 connections are kept");
}
