//! Clients that close their sending side and still read; and HTTP/2 on the HTTP port.

use std::time::Duration;

use hippocamp_net::Limits;
use hippocamp_proto::inference::ModelInferResponse;
use hippocamp_testing::{Repository, TestServer, identity_config, limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::frames::{self, DATA, END_STREAM, HEADERS, Link, STATUS_200};
use crate::requests::{fp32, values};

const SLOW: &str = "parameters { key: \"execute_delay_ms\" value { string_value: \"600\" } }";

async fn start(half_close_time: Duration) -> TestServer {
    let repository =
        Repository::default().with("fast", &identity_config(0, "")).with("slow", &identity_config(0, SLOW));
    let limits = Limits { half_close_time, ..limits() };
    let (server, faults) = TestServer::start_within(limits, repository, |_| {}, vec![]).await;
    assert_eq!(faults, [""; 0]);
    server
}

async fn post(server: &TestServer, model: &str, headers: &str) -> String {
    let body = r#"{"inputs":[{"name":"INPUT0","datatype":"FP32","shape":[1],"data":[1]}]}"#;
    let mut socket = TcpStream::connect(server.http).await.unwrap();
    let head = format!(
        "POST /v2/models/{model}/infer HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.shutdown().await.unwrap();
    let mut reply = Vec::new();
    socket.read_to_end(&mut reply).await.unwrap();
    String::from_utf8(reply).unwrap()
}

#[tokio::test]
async fn it_gets_its_answer_over_http() {
    let server = start(Duration::from_secs(20)).await;
    for model in ["fast", "slow"] {
        for headers in ["", "Connection: close\r\n"] {
            let reply = post(&server, model, headers).await;
            assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{model} {headers}: {reply}");
            assert!(reply.contains("\"data\":[1.0]"), "{model} {headers}: {reply}");
        }
    }
}

/// The server reads the whole request together with the end of the client's stream.
#[tokio::test]
async fn it_gets_its_answer_also_if_all_comes_at_once() {
    let server = start(Duration::from_secs(20)).await;
    let body = r#"{"inputs":[{"name":"INPUT0","datatype":"FP32","shape":[1],"data":[1]}]}"#;
    let length = body.len();
    let post =
        format!("POST /v2/models/fast/infer HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}");
    let get = "GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n\r\n".to_owned();
    for request in [post, get] {
        for ahead in [0, 1, 60, request.len() - 5] {
            let ahead = ahead.min(request.len());
            for _ in 0..20 {
                let mut socket = TcpStream::connect(server.http).await.unwrap();
                socket.write_all(&request.as_bytes()[..ahead]).await.unwrap();
                // A response on another connection shows that the server has read what was sent on this one.
                let mut other = TcpStream::connect(server.http).await.unwrap();
                other.write_all(b"GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
                other.read_to_end(&mut Vec::new()).await.unwrap();
                socket.write_all(&request.as_bytes()[ahead..]).await.unwrap();
                socket.shutdown().await.unwrap();
                let mut reply = Vec::new();
                socket.read_to_end(&mut reply).await.unwrap();
                assert!(reply.starts_with(b"HTTP/1.1 200 OK\r\n"), "{ahead} bytes ahead of {request}");
            }
        }
    }
}

/// The server does not wait for the rest of a body after the end of the stream.
#[tokio::test]
async fn a_body_that_is_cut_short_is_reported() {
    let server = start(Duration::from_secs(20)).await;
    let mut socket = TcpStream::connect(server.http).await.unwrap();
    let head = b"POST /v2/models/fast/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{";
    socket.write_all(head).await.unwrap();
    socket.shutdown().await.unwrap();
    let mut reply = Vec::new();
    let answered = tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut reply)).await;
    assert!(answered.is_ok(), "the server waits for what cannot come");
}

#[tokio::test]
async fn it_is_waited_for_if_it_said_so_and_else_not_for_ever() {
    let server = start(Duration::from_millis(1)).await;
    assert!(post(&server, "slow", "Connection: close\r\n").await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(post(&server, "slow", "").await, "");
}

#[tokio::test]
async fn it_gets_its_answer_over_grpc() {
    let server = start(Duration::from_secs(20)).await;
    for model in ["fast", "slow"] {
        let mut link = Link::open(server.grpc).await;
        link.call(1, "/inference.GRPCInferenceService/ModelInfer").await;
        let request = frames::message(&fp32(model, "", &[2], &[1.0, 2.0]));
        link.send(DATA, END_STREAM, 1, &request).await;
        link.socket.shutdown().await.unwrap();
        let answer = link.answer(1).await;
        assert_eq!(values(&frames::reply::<ModelInferResponse>(&answer)), [1.0, 2.0], "{model}");
        assert!(answer.last().unwrap().flags & END_STREAM != 0, "{model}");
        while link.next().await.is_some() {}
    }
}

#[tokio::test]
async fn the_port_of_http_speaks_http_2_as_well() {
    let server = start(Duration::from_secs(20)).await;
    let mut link = Link::open(server.http).await;
    for stream in [1, 3] {
        link.get(stream, "/v2").await;
        let answer = link.answer(stream).await;
        assert_eq!((answer[0].kind, answer[0].payload[0]), (HEADERS, STATUS_200));
        let body = answer.iter().filter(|frame| frame.kind == DATA).flat_map(|frame| frame.payload.clone());
        let body = String::from_utf8(body.collect()).unwrap();
        assert!(body.starts_with("{\"name\":\"triton\""), "{body}");
    }
}
