//! Closed loops over both protocols.

use clap::Parser;
use hippocamp_bench::{BenchArgs, bench};
use hippocamp_testing::{Repository, TestServer, identity_config};

use crate::run::{answered, both, failure, results};

const TWO: &str = "
    backend: \"identity\"
    input [ { name: \"INPUT0\" data_type: TYPE_INT32 dims: 4 }, { name: \"INPUT1\" data_type: TYPE_STRING dims: 2 } ]
    output [ { name: \"OUTPUT0\" data_type: TYPE_INT32 dims: 4 }, { name: \"OUTPUT1\" data_type: TYPE_STRING dims: 2 } ]";

async fn server() -> TestServer {
    let repository = Repository::default().with("numbers", &identity_config(8, ""));
    TestServer::start(repository.with("two", TWO)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_level_measures_as_many_requests_as_were_asked_for() {
    let server = server().await;
    let args = ["numbers", "--shape=INPUT0:16", "-c=1,4,9", "--requests=200", "--warm-up=0"];
    for levels in both(&server, &args).await {
        let levels = levels.as_array().unwrap();
        assert_eq!(levels.len(), 3);
        for (level, concurrency) in levels.iter().zip([1, 4, 9]) {
            assert_eq!(level["concurrency"], concurrency);
            assert_eq!((&level["requests"], &level["failed"]), (&200.into(), &0.into()), "{level}");
            let latency = |name: &str| level["latency_us"][name].as_f64().unwrap();
            let order = ["min", "p50", "p90", "p95", "p99", "p99.9", "max"].map(latency);
            assert!(order.is_sorted() && order[0] > 0.0, "{level}");
            assert!(level["client_cpu_s_per_1000"].as_f64().unwrap() > 0.0);
        }
    }
    // Three levels and the request before the load, over each protocol.
    assert_eq!(answered(&server, "numbers").await, 2 * (3 * 200 + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_is_measured_after_a_warm_up() {
    let server = server().await;
    let args = ["numbers", "--shape=INPUT0:16", "-c=3", "--seconds=0.4", "--warm-up=0.1", "--batch=2"];
    let mut sent = 0;
    for levels in both(&server, &args).await {
        let level = &levels[0];
        assert!(level["warm_up_requests"].as_u64().unwrap() > 0, "{level}");
        assert!(level["seconds"].as_f64().unwrap() >= 0.4, "{level}");
        sent += 1 + level["warm_up_requests"].as_u64().unwrap() + level["requests"].as_u64().unwrap();
    }
    assert_eq!(answered(&server, "numbers").await, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_inputs_are_made_up_and_threads_and_connections_are_as_said() {
    let server = server().await;
    let args = ["two", "--requests=50", "-c=4", "--threads=2"];
    for levels in both(&server, &args).await {
        assert_eq!((&levels[0]["threads"], &levels[0]["requests"]), (&2.into(), &50.into()));
    }
    let one = results(&server, "grpc", &["two", "--requests=50", "-c=32", "--connections=3"]).await;
    assert_eq!((&one[0]["connections"], &one[0]["requests"]), (&3.into(), &50.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn large_tensors_get_through() {
    let server = server().await;
    let args = ["numbers", "--shape=INPUT0:300000", "--requests=10", "-c=2", "--warm-up=0"];
    for levels in both(&server, &args).await {
        assert_eq!((&levels[0]["requests"], &levels[0]["failed"]), (&10.into(), &0.into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_before_the_load() {
    let server = server().await;
    for protocol in ["http", "grpc"] {
        let open = failure(&server, protocol, &["numbers"]).await;
        assert!(open.ends_with("say them by --shape INPUT0:16"), "{open}");
        let unknown = failure(&server, protocol, &["nobody"]).await;
        assert!(unknown.ends_with("\nready at this server: numbers, two"), "{unknown}");
        let output = failure(&server, protocol, &["two", "-o=X"]).await;
        assert!(output.starts_with("the model has no output 'X'"), "{output}");
        let batch = failure(&server, protocol, &["two", "--batch=4"]).await;
        assert!(batch.contains("takes no batches"), "{batch}");
    }
    let few = failure(&server, "http", &["two", "-c=4", "--connections=2"]).await;
    assert!(few.contains("--protocol grpc"), "{few}");
    let nobody = BenchArgs::parse_from(["bench", "two", "--url=127.0.0.1:1"]);
    let nobody = bench(&nobody, None).await.unwrap_err().to_string();
    assert!(nobody.starts_with("no server answers at 127.0.0.1:1"), "{nobody}");
}
