//! Two models side by side.

use hippocamp_bench::{Comparison, compare};
use hippocamp_testing::{Repository, TestServer, identity_config};
use serde_json::Value;

use crate::run::{answered, arguments};

/// `numbers` under other names.
const RENAMED: &str = "
    platform: \"ensemble\" max_batch_size: 8
    input [ { name: \"X\" data_type: TYPE_FP32 dims: -1 } ] output [ { name: \"Y\" data_type: TYPE_FP32 dims: -1 } ]
    ensemble_scheduling { step { model_name: \"numbers\" input_map { key: \"INPUT0\" value: \"X\" }
        output_map { key: \"OUTPUT0\" value: \"Y\" } } }";

/// One that takes the same as `three`, with the batch in its dims.
const WHOLE: &str = "
    backend: \"identity\"
    input [ { name: \"INPUT0\" data_type: TYPE_FP32 dims: [ 1, 3 ] } ]
    output [ { name: \"OUTPUT0\" data_type: TYPE_FP32 dims: [ 1, 3 ] } ]";

const THREE: &str = "
    backend: \"identity\" max_batch_size: 8
    input [ { name: \"INPUT0\" data_type: TYPE_FP32 dims: 3 } ]
    output [ { name: \"OUTPUT0\" data_type: TYPE_FP32 dims: 3 } ]";

const TEXTS: &str = "
    backend: \"identity\"
    input [ { name: \"INPUT0\" data_type: TYPE_STRING dims: 2 }, { name: \"INPUT1\" data_type: TYPE_INT64 dims: 2 } ]
    output [ { name: \"OUTPUT0\" data_type: TYPE_STRING dims: 2 }, { name: \"OUTPUT1\" data_type: TYPE_INT64 dims: 2 } ]";

/// `texts` with one output.
const FEWER: &str = "
    platform: \"ensemble\"
    input [ { name: \"INPUT0\" data_type: TYPE_STRING dims: 2 }, { name: \"INPUT1\" data_type: TYPE_INT64 dims: 2 } ]
    output [ { name: \"OUTPUT0\" data_type: TYPE_STRING dims: 2 } ]
    ensemble_scheduling { step { model_name: \"texts\" input_map { key: \"INPUT0\" value: \"INPUT0\" }
        input_map { key: \"INPUT1\" value: \"INPUT1\" } output_map { key: \"OUTPUT0\" value: \"OUTPUT0\" } } }";

async fn server() -> TestServer {
    let repository = Repository::default()
        .with("numbers", &identity_config(8, ""))
        .with("same", &identity_config(8, ""))
        .with("renamed", RENAMED)
        .with("three", THREE)
        .with("whole", WHOLE)
        .with("deep", &WHOLE.replace("[ 1, 3 ]", "[ 1, 1, 3 ]"))
        .with("texts", TEXTS)
        .with("fewer", FEWER);
    TestServer::start(repository).await
}

async fn compared(server: &TestServer, protocol: &str, args: &[&str]) -> (Value, Comparison) {
    let comparison = compare(&arguments(server, protocol, args)).await.unwrap();
    (serde_json::from_str(&comparison.json()).unwrap(), comparison)
}

async fn failure(server: &TestServer, args: &[&str]) -> String {
    compare(&arguments(server, "http", args)).await.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_models_differ_in_nothing_and_are_measured_in_turns() {
    let server = server().await;
    for (number, protocol) in ["http", "grpc"].into_iter().enumerate() {
        let args = ["--compare=numbers,same", "--shape=INPUT0:16", "--requests=100", "--warm-up=0", "-c=1,4"];
        let args = [&args[..], &["--tolerance=0", "--samples=3", "--rounds=4"]].concat();
        let (json, comparison) = compared(&server, protocol, &args).await;
        assert!(!comparison.has_failures() && comparison.is_within_tolerance() == Some(true), "{json}");
        let output = &json["outputs"][0];
        assert_eq!((&output["elements"], &output["different"]), (&48.into(), &0.into()), "{json}");
        assert_eq!((&json["samples"], &json["outputs_matched_by"]), (&3.into(), &"name".into()));
        for (level, concurrency) in json["results"].as_array().unwrap().iter().zip([1, 4]) {
            for side in ["a", "b"] {
                assert_eq!(level[side]["requests"], 100, "{level}");
                assert_eq!(level[side]["concurrency"], concurrency);
            }
            assert_eq!(level["rounds"].as_array().unwrap().len(), 4);
            let ratio = |name: &str| level["b_to_a"][name].as_f64().unwrap();
            assert!(ratio("min") <= ratio("median") && ratio("median") <= ratio("max"), "{level}");
        }
        // Three inputs and the one before the load, and two levels.
        for model in ["numbers", "same"] {
            assert_eq!(answered(&server, model).await, (number as u64 + 1) * (3 + 1 + 200), "{model}");
        }
        let table = comparison.table();
        assert!(table.contains("OUTPUT0 FP32") && table.contains("within the tolerance\n"), "{table}");
        assert!(table.contains("B / A"), "{table}");
    }
}

const QUICK: [&str; 3] = ["--requests=5", "--warm-up=0", "--rounds=1"];

#[tokio::test(flavor = "multi_thread")]
async fn other_names_are_matched_by_position_and_batches_by_shape() {
    let server = server().await;
    let args = [&["--compare=numbers,renamed:1", "--shape=INPUT0:16"][..], &QUICK].concat();
    let (json, comparison) = compared(&server, "grpc", &args).await;
    assert_eq!(
        (&json["inputs_matched_by"], &json["outputs_matched_by"]),
        (&"position".into(), &"position".into())
    );
    assert_eq!(json["matched_inputs"][0], serde_json::json!({"a": "INPUT0", "b": "X"}));
    assert_eq!((&json["outputs"][0]["different"], &json["b"]["model"]), (&0.into(), &"renamed:1".into()));
    assert!(comparison.table().contains("matched by position: INPUT0 = X\n"), "{}", comparison.table());
    assert!(comparison.table().contains("matched by position: OUTPUT0 = Y\n"), "{}", comparison.table());

    let args = [&["--compare=three,whole", "--tolerance=0"][..], &QUICK].concat();
    let (json, comparison) = compared(&server, "http", &args).await;
    assert_eq!((&json["outputs"][0]["different"], comparison.has_failures()), (&0.into(), false), "{json}");

    // The same numbers in another shape are not compared one by one.
    let args = [&["--compare=three,deep", "--tolerance=1e9"][..], &QUICK].concat();
    let (json, comparison) = compared(&server, "http", &args).await;
    assert_eq!(json["outputs"][0]["form"]["b"], "FP32 [1,1,3]", "{json}");
    assert!(comparison.has_failures(), "{json}");
    assert!(
        comparison
            .table()
            .contains("OUTPUT0: A answers FP32 [1,3] and B FP32 [1,1,3] to input 0: not compared")
    );
    let args = [&["--compare=three,deep"][..], &QUICK].concat();
    assert!(!compared(&server, "http", &args).await.1.has_failures(), "without a tolerance it is told only");
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_integers_and_outputs_of_one_side() {
    let server = server().await;
    let args = [&["--compare=texts,fewer", "--input=INPUT0=a,b", "--input=INPUT1=1,2"][..], &QUICK].concat();
    let (json, comparison) = compared(&server, "http", &args).await;
    assert_eq!((&json["samples"], &json["outputs"][0]["elements"]), (&1.into(), &2.into()), "all was given");
    assert_eq!(
        (&json["only_in_a"], &json["only_in_b"]),
        (&serde_json::json!(["OUTPUT1"]), &serde_json::json!([]))
    );
    assert!(comparison.table().contains("only A has OUTPUT1: not compared\n"), "{}", comparison.table());
    let strict = [&args[..], &["--tolerance=0"]].concat();
    assert!(compared(&server, "http", &strict).await.1.has_failures());
    let named = [&strict[..], &["--output=OUTPUT0"]].concat();
    assert!(!compared(&server, "http", &named).await.1.has_failures(), "the other one was not asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn models_on_two_servers() {
    let (one, other) = (server().await, server().await);
    let elsewhere = format!("--compare-url=http://{}", other.http);
    let args = [&["--compare=numbers,numbers", "--shape=INPUT0:16", elsewhere.as_str()][..], &QUICK].concat();
    let (json, _) = compared(&one, "http", &args).await;
    assert_eq!(json["b"]["address"], other.http.to_string());
    assert_eq!((answered(&one, "numbers").await, answered(&other, "numbers").await), (8 + 1 + 5, 8 + 1 + 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_compared_is_told_before_the_load() {
    let server = server().await;
    let types = failure(&server, &["--compare=numbers,texts", "--shape=INPUT0:2"]).await;
    assert!(types.starts_with("the models take different inputs: A has INPUT0 (FP32"), "{types}");
    let unknown = failure(&server, &["--compare=numbers,nobody", "--shape=INPUT0:2"]).await;
    assert!(unknown.contains("nobody") && unknown.contains("ready at this server: "), "{unknown}");
    assert!(failure(&server, &["--compare=numbers"]).await.contains("the names of two models"));
    assert!(failure(&server, &["--compare=a,b,c"]).await.contains("the names of two models"));
    let shape = failure(&server, &["--compare=numbers,three", "--shape=INPUT0:16"]).await;
    assert!(
        shape.contains("input 'INPUT0' of A has shape [1,16], which B's 'INPUT0' of shape [-1,3]"),
        "{shape}"
    );
    let output = failure(&server, &["--compare=numbers,same", "--shape=INPUT0:2", "--output=Z"]).await;
    assert!(output.contains('Z'), "{output}");
}
