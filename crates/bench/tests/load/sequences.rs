//! Sequences, which a model with a state counts on being told right.

use hippocamp_testing::{Repository, TestServer};

use crate::run::{answered, results};

const SUM: &str = "backend: \"sequence\"
    input { name: \"INPUT\" data_type: TYPE_INT32 dims: 1 }
    output { name: \"OUTPUT\" data_type: TYPE_INT32 dims: 1 }
    sequence_batching { direct { } max_sequence_idle_microseconds: 3600000000
        control_input { name: \"START\" control { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] } }
        control_input { name: \"READY\" control { kind: CONTROL_SEQUENCE_READY int32_false_true: [ 0, 1 ] } } }
    instance_group { count: 2 kind: KIND_CPU }";

/// The model has two slots, which no sequence leaves by itself within an hour: each one ends as it should, or the next would
/// wait for ever.
#[tokio::test(flavor = "multi_thread")]
async fn sequences_begin_and_end() {
    let server = TestServer::start(Repository::default().with("sum", SUM)).await;
    let args = ["sum", "--sequences=4", "--length=5", "--requests=101", "--warm-up=0", "--timeout=20"];
    let mut sent = 0;
    for (protocol, more) in
        [("http", &[][..]), ("grpc", &[]), ("grpc", &["--stream"]), ("grpc", &["--rate=500"])]
    {
        let args: Vec<&str> = args.iter().chain(more).copied().collect();
        let levels = results(&server, protocol, &args).await;
        let level = &levels[0];
        assert_eq!(
            (&level["requests"], &level["failed"], &level["in_flight"]),
            (&101.into(), &0.into(), &4.into()),
            "{level}"
        );
        // The request before the load is a sequence of its own, on a stream one of two requests.
        let before = if more == ["--stream"] { 2 } else { 1 };
        sent += before + 101 + level["warm_up_requests"].as_u64().unwrap();
    }
    assert_eq!(answered(&server, "sum").await, sent);
}
