//! A third protocol beside HTTP and gRPC: what it does not write itself holds for it as for them.

use std::time::Duration;

use hippocamp_core::Settings;
use hippocamp_net::Limits;
use hippocamp_testing::{Repository, TestServer, identity_config, limits};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::ensembles::chain;

struct Client(BufReader<TcpStream>);

impl Client {
    async fn new(server: &TestServer) -> Client {
        Client(BufReader::new(TcpStream::connect(server.line).await.unwrap()))
    }

    /// The next line; empty if the server closed the connection.
    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }

    /// Sends a request and reads to the end of its answer.
    async fn ask(&mut self, request: &str) -> Vec<String> {
        self.0.write_all(format!("{request}\n").as_bytes()).await.unwrap();
        let mut lines = Vec::new();
        loop {
            match self.line().await.as_str() {
                "end" => return lines,
                "" => panic!("the connection ended after {lines:?}"),
                line => lines.push(line.to_owned()),
            }
        }
    }
}

fn repository() -> Repository {
    let repository = Repository::default()
        .with("first", &identity_config(8, "dynamic_batching { }"))
        .with("second", &identity_config(8, ""));
    repository.write("ens/config.pbtxt", chain());
    repository
}

#[tokio::test]
async fn an_ensemble_is_served_on_one_connection_request_after_request() {
    let server = TestServer::start(repository()).await;
    let mut client = Client::new(&server).await;
    for number in [1.5, -2.0] {
        let lines = client.ask(&format!("infer ens INPUT0 FP32 1,2 {number},7")).await;
        assert_eq!(lines, [format!("response ens 1 MIDDLE FP32 1,2 {number},7 OUTPUT0 FP32 1,2 {number},7")]);
    }
    let metrics = server.scrape().await.text();
    assert!(metrics.contains("nv_inference_request_success{model=\"ens\",version=\"1\"} 2"), "{metrics}");
    assert!(metrics.contains("nv_server_connections{port=\"line\"} 1"), "{metrics}");
}

#[tokio::test]
async fn a_decoupled_model_is_answered_line_by_line() {
    let repeat = "backend: \"repeat\" max_batch_size: 0 model_transaction_policy { decoupled: true }
        input { name: \"IN\" data_type: TYPE_INT32 dims: 1 } output { name: \"OUT\" data_type: TYPE_INT32 dims: 1 }";
    let server = TestServer::start(Repository::default().with("r", repeat)).await;
    let lines = Client::new(&server).await.ask("infer r IN INT32 1 3").await;
    assert_eq!(lines, [0, 1, 2].map(|value| format!("response r 1 OUT INT32 1 {value}")));
}

#[tokio::test]
async fn errors_are_those_of_the_other_protocols_in_its_own_codes() {
    let server = TestServer::start(repository()).await;
    let mut client = Client::new(&server).await;
    let body = r#"{"inputs":[{"name":"INPUT0","shape":[9,1],"datatype":"FP32","data":[1,1,1,1,1,1,1,1,1]}]}"#;
    let cases = [
        (
            "ens",
            "NOT_FOUND",
            "infer ens/7 INPUT0 FP32 9,1 1,1,1,1,1,1,1,1,1",
            "/v2/models/ens/versions/7/infer",
        ),
        ("none", "NOT_FOUND", "infer none", "/v2/models/none/infer"),
        ("first", "INVALID", "infer first INPUT0 FP32 9,1 1,1,1,1,1,1,1,1,1", "/v2/models/first/infer"),
    ];
    for (model, code, line, path) in cases {
        let lines = client.ask(line).await;
        let text =
            lines[0].strip_prefix(&format!("error {code} ")).unwrap_or_else(|| panic!("{model}: {lines:?}"));
        let http = server.post(path, body.as_bytes()).await.text();
        assert!(http.contains(text), "{model}: {text} is not in {http}");
    }
}

#[tokio::test]
async fn a_model_is_loaded_for_its_request() {
    let lazy = |settings: &mut Settings| settings.lazy_load = true;
    let (server, _) = TestServer::start_with(repository(), lazy).await;
    assert_eq!(server.core.ready_count(), 0);
    let lines = Client::new(&server).await.ask("infer ens INPUT0 FP32 1,1 3").await;
    assert_eq!(lines, ["response ens 1 MIDDLE FP32 1,1 3 OUTPUT0 FP32 1,1 3"]);
}

#[tokio::test]
async fn its_connections_count_against_the_limit() {
    let limits = Limits { connections: 1, ..limits() };
    let (server, _) = TestServer::start_within(limits, repository(), |_| {}, vec![]).await;
    let mut first = Client::new(&server).await;
    assert_eq!(first.ask("infer first INPUT0 FP32 1,1 3").await.len(), 1);
    let mut second = Client::new(&server).await;
    let refused = second.line().await;
    assert!(refused.starts_with("error BUSY the server has 1 connections, the most that"), "{refused}");
    assert_eq!(second.line().await, "", "the connection is closed");
}

#[tokio::test]
async fn its_connections_end_with_the_server() {
    let server = TestServer::start(repository()).await;
    let mut idle = Client::new(&server).await;
    assert_eq!(idle.ask("infer first INPUT0 FP32 1,1 3").await.len(), 1);
    server.network.begin_drain();
    let refused = Client::new(&server).await.line().await;
    assert_eq!(refused, "error BUSY Server is stopping, and has stopped accepting new requests");
    assert!(server.stop(Duration::from_secs(10)).await);
    assert_eq!(idle.line().await, "", "the connection is closed");
}
