//! Tensors in shared memory.

use hippocamp_testing::{Repository, TestServer, identity_config};

use crate::run::{answered, both, failure};

const TWO: &str = "
    backend: \"identity\"
    input [ { name: \"INPUT0\" data_type: TYPE_INT32 dims: 4 }, { name: \"INPUT1\" data_type: TYPE_STRING dims: 2 } ]
    output [ { name: \"OUTPUT0\" data_type: TYPE_INT32 dims: 4 }, { name: \"OUTPUT1\" data_type: TYPE_STRING dims: 2 } ]";

async fn server(allowed: bool) -> TestServer {
    let repository = Repository::default().with("m", &identity_config(8, "")).with("two", TWO);
    TestServer::start_with(repository, |settings| settings.allow_client_shm = allowed).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn tensors_are_read_and_written_in_place() {
    let server = server(true).await;
    let args =
        ["m", "--shared-memory=system", "--shape=INPUT0:1000", "-c=1,5", "--requests=60", "--warm-up=0"];
    for levels in both(&server, &args).await {
        for level in levels.as_array().unwrap() {
            assert_eq!((&level["requests"], &level["failed"]), (&60.into(), &0.into()), "{level}");
        }
    }
    // The request before the load is sent twice, the second time by way of the memory.
    assert_eq!(answered(&server, "m").await, 2 * (2 * 60 + 2));
    for levels in both(&server, &["two", "--shared-memory=system", "-c=3", "--requests=30"]).await {
        assert_eq!((&levels[0]["requests"], &levels[0]["failed"]), (&30.into(), &0.into()));
    }
    let left = server.get("/v2/systemsharedmemory/status").await;
    assert_eq!(left.text(), "[]", "nothing stays registered");
    let own = format!("hippocamp-bench-{}-", std::process::id());
    let objects = std::fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(objects.filter(|name| name.to_string_lossy().starts_with(&own)).count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_allow_it_says_so() {
    let server = server(false).await;
    for protocol in ["http", "grpc"] {
        let refused = failure(&server, protocol, &["two", "--shared-memory=system"]).await;
        assert!(refused.contains("--allow-client-shm"), "{refused}");
        // There are not as many GPUs in any machine.
        let refused = failure(&server, protocol, &["two", "--shared-memory=cuda", "--gpu=7777"]).await;
        assert!(refused.contains("GPU 7777 cannot be used"), "{refused}");
    }
}
