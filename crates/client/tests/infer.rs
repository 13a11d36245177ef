//! Runs the command against a server in this process.

use std::fs;
use std::time::Duration;

use clap::Parser;
use hippocamp_client::{Headers, InferArgs, Protocol, Server, infer};
use hippocamp_device::Devices;
use hippocamp_device::testing::TestDriver;
use hippocamp_testing::{Repository, TestServer, identity_config};

/// A model that takes and returns a text, as a detection pipeline does with its JSON.
const TEXT: &str = "
    backend: \"identity\" max_batch_size: 4
    input { name: \"INPUT0\" data_type: TYPE_STRING dims: 1 }
    output { name: \"OUTPUT0\" data_type: TYPE_STRING dims: 1 }";

const TWO: &str = "
    backend: \"identity\"
    input [ { name: \"INPUT0\" data_type: TYPE_INT32 dims: 1 }, { name: \"INPUT1\" data_type: TYPE_INT32 dims: 1 } ]
    output [ { name: \"OUTPUT0\" data_type: TYPE_INT32 dims: 1 }, { name: \"OUTPUT1\" data_type: TYPE_INT32 dims: 1 } ]";

async fn server() -> TestServer {
    let repository = Repository::default().with("numbers", &identity_config(8, ""));
    TestServer::start(repository.with("text", TEXT).with("two", TWO)).await
}

/// What the command prints, or its failure, over each protocol.
async fn both(server: &TestServer, args: &[&str]) -> [Result<String, String>; 2] {
    [ask(server, "http", args).await, ask(server, "grpc", args).await]
}

async fn ask(server: &TestServer, protocol: &str, args: &[&str]) -> Result<String, String> {
    let address = if protocol == "grpc" { server.grpc } else { server.http };
    let url = format!("--url={protocol}://{address}");
    let args = ["infer"].iter().chain(args).copied().chain([url.as_str()]);
    infer(&InferArgs::parse_from(args)).await.map_err(|failure| failure.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_come_back_as_a_table() {
    let server = server().await;
    let args = ["numbers", "--input", "INPUT0=1,2.5,-3", "--output", "OUTPUT0", "--param", "k=1"];
    for answer in both(&server, &args).await {
        assert_eq!(answer.unwrap(), "model numbers, version 1\n\nOUTPUT0 FP32 [1,3]\n  1  2.5  -3\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_make_a_batch_and_json_is_whole() {
    let server = server().await;
    let args = ["numbers", "-i", "INPUT0=1,2", "-i", "INPUT0=3,4", "--json", "--version", "1"];
    for answer in both(&server, &args).await {
        let answer = answer.unwrap();
        assert_eq!(
            answer,
            "{\"model_name\":\"numbers\",\"model_version\":\"1\",\"outputs\":[{\"data\":[1,2,3,4],\
             \"datatype\":\"FP32\",\"name\":\"OUTPUT0\",\"shape\":[2,2]}]}\n"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn detections_are_told_and_drawn() {
    let server = server().await;
    let folder = tempfile::tempdir().unwrap();
    let [text, picture, out] = ["text", "picture.png", "out.png"].map(|name| folder.path().join(name));
    fs::write(&text, r#"[{"score":0.9,"category":1,"label":"dog","box":[10.0,20.0,40.0,45.0]}]"#).unwrap();
    let args = ["text", "--input", &format!("@{}", text.display())];
    for answer in both(&server, &args).await {
        let want = "model text, version 1\n\n1 found with a score above 0.4\n  \
                    #  score  category  left   top  right  bottom\n  \
                    1  0.900       dog  10.0  20.0   40.0    45.0\n";
        assert_eq!(answer.unwrap(), want);
    }
    // The input is no image, so that the response can be shown, but not drawn.
    let draw = ["--draw", out.to_str().unwrap()];
    for answer in both(&server, &[&args[..], &draw].concat()).await {
        assert!(answer.unwrap_err().starts_with("--draw: the file that was sent is no picture"));
    }
    fs::write(&picture, [0u8; 9]).unwrap();
    let args = ["text", "--input", &format!("@{}", picture.display())];
    for answer in both(&server, &[&args[..], &draw].concat()).await {
        assert!(answer.unwrap_err().starts_with("--draw: the answer has no detections to draw"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_with_what_there_is() {
    let server = server().await;
    for answer in both(&server, &["nubmers", "-i", "X=1"]).await {
        let failure = answer.unwrap_err();
        assert!(failure.starts_with("Request for unknown model: 'nubmers'"), "{failure}");
        assert!(failure.ends_with("ready at this server: numbers, text, two"), "{failure}");
    }
    for answer in both(&server, &["numbers"]).await {
        let failure = answer.unwrap_err();
        assert_eq!(
            failure,
            "give the model's inputs by --input NAME=VALUE or --input NAME=@FILE:\n  INPUT0 (FP32 [-1,-1])"
        );
    }
    for answer in both(&server, &["numbers", "-i", "@x", "-o", "OUT"]).await {
        assert_eq!(answer.unwrap_err(), "the model has no output 'OUT'; it has:\n  OUTPUT0 (FP32 [-1,-1])");
    }
    for answer in both(&server, &["text", "--input", "INPUT0=x", "--version", "9"]).await {
        let failure = answer.unwrap_err();
        assert!(failure.starts_with("Request for unknown model: 'text' version 9"), "{failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_s_refusal_is_passed_on() {
    let server = server().await;
    let nine = "INPUT0=1,2,3,4,5,6,7,8,9";
    for answer in both(&server, &["numbers", "-i", nine, "--shape", "INPUT0=9,1"]).await {
        let failure = answer.unwrap_err();
        assert!(failure.contains("batch-size must be <= 8"), "{failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_that_is_missing_is_named() {
    let server = server().await;
    for answer in both(&server, &["two", "-i", "INPUT0=1"]).await {
        let failure = answer.unwrap_err();
        assert!(failure.contains("expected 2 inputs but got 1"), "{failure}");
        assert!(failure.ends_with("\nnot given: INPUT1 (INT32 [1])"), "{failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_protocol_s_port_is_reported() {
    let server = server().await;
    for (protocol, address) in [("http", server.grpc), ("grpc", server.http)] {
        let args = InferArgs::parse_from(["infer", "two", &format!("--url={protocol}://{address}")]);
        let failure = infer(&args).await.unwrap_err().to_string();
        assert!(failure.starts_with(&address.to_string()), "{failure}");
        assert!(failure.contains("does not answer as "), "{failure}");
        let other = if protocol == "http" { "(--protocol grpc)" } else { "(--protocol http)" };
        assert!(failure.ends_with(other), "{failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_told_with_the_address() {
    // The port was bound and closed again, so that nobody listens there.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for protocol in ["http", "grpc"] {
        let args = InferArgs::parse_from(["infer", "m", &format!("--url={protocol}://{closed}")]);
        let failure = infer(&args).await.unwrap_err().to_string();
        assert!(failure.starts_with(&format!("no server answers at {closed}: ")), "{failure}");
        assert!(failure.contains("start one by `hippocamp --model-repository=PATH`"), "{failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_of_a_gpu_is_registered_by_its_handle() {
    let devices = Devices::of(TestDriver::new(2, 1 << 20));
    let repository = Repository::default().with("numbers", &identity_config(8, ""));
    let (server, _) = TestServer::start_with(repository, |settings| {
        settings.allow_client_shm = true;
        settings.devices = devices.clone();
    })
    .await;
    let (_memory, handle) = devices.export(1, 100).unwrap();
    let status = || server.get("/v2/cudasharedmemory/status");
    for (protocol, address) in [(Protocol::Http, server.http), (Protocol::Grpc, server.grpc)] {
        let timeout = Duration::from_mins(1);
        let mut client =
            Server::connect(protocol, &address.to_string(), timeout, &Headers::default()).await.unwrap();
        client.register_cuda_shared_memory("a/b", &handle, 1, 100).await.unwrap();
        let registered = status().await.text().clone();
        assert!(
            registered.contains("\"device_id\":1") && registered.contains("\"byte_size\":100"),
            "{registered}"
        );
        let elsewhere = client.register_cuda_shared_memory("c", &handle, 0, 100).await.unwrap_err();
        assert!(elsewhere.to_string().contains("another device"), "{elsewhere}");
        client.unregister_cuda_shared_memory("a/b").await.unwrap();
        assert_eq!(status().await.text(), "[]");
    }
}
