//! gRPC streams, also of decoupled models.

use hippocamp_testing::{Repository, TestServer, identity_config};

use crate::run::{answered, failure, results};

const SQUARE: &str = "backend: \"square\" model_transaction_policy { decoupled: true }
    input { name: \"IN\" data_type: TYPE_INT32 dims: 1 }
    output { name: \"OUT\" data_type: TYPE_INT32 dims: 1 }";

async fn server() -> TestServer {
    let repository = Repository::default().with("square", SQUARE);
    TestServer::start(repository.with("m", &identity_config(0, ""))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_an_answer_for_each_request() {
    let server = server().await;
    let args = ["m", "--stream", "--shape=INPUT0:16", "-c=1,7", "--requests=100", "--warm-up=0"];
    let levels = results(&server, "grpc", &args).await;
    for level in levels.as_array().unwrap() {
        assert_eq!(
            (&level["requests"], &level["responses"], &level["failed"]),
            (&100.into(), &100.into(), &0.into())
        );
    }
    assert_eq!(answered(&server, "m").await, 2 * 100 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decoupled_model_answers_as_often_as_it_likes() {
    let server = server().await;
    for (count, responses) in [("IN=3", 150), ("IN=0", 0)] {
        let args = ["square", "--stream", "-i", count, "-c=4", "--requests=50", "--warm-up=0"];
        let levels = results(&server, "grpc", &args).await;
        let level = &levels[0];
        assert_eq!(
            (&level["requests"], &level["responses"], &level["failed"]),
            (&50.into(), &responses.into(), &0.into())
        );
        if responses > 0 {
            let first = level["first_response_us"]["max"].as_f64().unwrap();
            assert!(first > 0.0 && first <= level["latency_us"]["max"].as_f64().unwrap(), "{level}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_of_grpc_and_decoupled_models_want_them() {
    let server = server().await;
    assert!(failure(&server, "http", &["m", "--stream"]).await.contains("--protocol grpc"));
    let unary = failure(&server, "grpc", &["square", "-i", "IN=3"]).await;
    assert!(unary.contains("decoupled"), "{unary}");
    assert!(unary.contains("--stream"), "{unary}");
}
