//! The response cache: which requests are answered from it, which never are, and the statistics.

use hippocamp_core::LoadOverrides;
use hippocamp_proto::inference::infer_parameter::ParameterChoice;
use hippocamp_proto::inference::model_infer_request::InferRequestedOutputTensor;
use hippocamp_proto::inference::{InferParameter, ModelInferRequest, ModelStatisticsRequest};
use hippocamp_statistics::Counters;
use hippocamp_testing::{Repository, TestServer, identity_config};

use crate::requests::{fp32, values};

const CACHED: &str = "response_cache { enable: true }";

async fn server(bytes: usize) -> TestServer {
    let two = "backend: \"identity\" max_batch_size: 4 response_cache { enable: true }
        input { name: \"INPUT0\" data_type: TYPE_FP32 dims: -1 }
        input { name: \"INPUT1\" data_type: TYPE_FP32 dims: -1 optional: true }
        output { name: \"OUTPUT0\" data_type: TYPE_FP32 dims: -1 }
        output { name: \"OUTPUT1\" data_type: TYPE_FP32 dims: -1 }";
    let fail = "backend: \"fail\" max_batch_size: 0 response_cache { enable: true }
        input { name: \"INPUT0\" data_type: TYPE_FP32 dims: -1 }
        output { name: \"OUTPUT0\" data_type: TYPE_FP32 dims: -1 }";
    let repository = Repository::default()
        .with("cached", &identity_config(8, &format!("{CACHED} dynamic_batching {{ }}")))
        .with("plain", &identity_config(8, ""))
        .with("two", two)
        .with("fail", fail);
    let (server, faults) =
        TestServer::start_with(repository, |settings| settings.response_cache_byte_size = bytes).await;
    assert_eq!(faults, [""; 0]);
    server
}

fn counters(server: &TestServer, model: &str) -> Counters {
    server.core.statistics(model, None).unwrap()[0].counters.clone()
}

/// Hits, misses, successes, inferences, and executions by phase.
fn counts(server: &TestServer, model: &str) -> [u64; 5] {
    let c = counters(server, model);
    assert_eq!(c.queue.count, c.success.count);
    assert_eq!(c.phases.compute_infer.count, c.success.count - c.cache_hit.count);
    [c.cache_hit.count, c.cache_miss.count, c.success.count, c.inference_count, c.execution_count]
}

async fn infer(server: &TestServer, request: ModelInferRequest) -> Vec<f32> {
    values(&server.client().await.model_infer(request).await.unwrap().into_inner())
}

#[tokio::test]
async fn the_second_same_request_is_answered_from_the_cache() {
    let server = server(1 << 20).await;
    let request = |id: &str| fp32("cached", id, &[2, 1], &[1.0, 2.0]);
    assert_eq!(infer(&server, request("a")).await, [1.0, 2.0]);
    assert_eq!(counts(&server, "cached"), [0, 1, 1, 2, 1]);
    let reply = server.client().await.model_infer(request("b")).await.unwrap().into_inner();
    assert_eq!((values(&reply), reply.id.as_str()), (vec![1.0, 2.0], "b"));
    assert_eq!(reply.parameters.len(), 4, "the parameters of the response are kept, too");
    assert_eq!(counts(&server, "cached"), [1, 1, 2, 2, 1]);
    // The same request over the other protocol.
    let body = br#"{"inputs":[{"name":"INPUT0","shape":[2,1],"datatype":"FP32","data":[1,2]}]}"#;
    let reply = server.post("/v2/models/cached/infer", body).await;
    assert!(reply.text().contains("\"data\":[1.0,2.0]"), "{}", reply.text());
    assert_eq!(counts(&server, "cached"), [2, 1, 3, 2, 1]);
}

#[tokio::test]
async fn whatever_differs_is_another_request() {
    let server = server(1 << 20).await;
    let base = fp32("two", "", &[1, 2], &[1.0, 2.0]);
    let mut reshaped = base.clone();
    reshaped.inputs[0].shape = vec![2, 1];
    let mut another = base.clone();
    another.raw_input_contents[0] = [1.0f32, 3.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let mut more = base.clone();
    more.inputs.push(more.inputs[0].clone());
    more.inputs[1].name = "INPUT1".to_owned();
    more.raw_input_contents.push(more.raw_input_contents[0].clone());
    let mut fewer_outputs = base.clone();
    let output = InferRequestedOutputTensor { name: "OUTPUT1".to_owned(), ..Default::default() };
    fewer_outputs.outputs.push(output);
    let mut with_parameter = base.clone();
    let parameter = InferParameter { parameter_choice: Some(ParameterChoice::StringParam("x".to_owned())) };
    with_parameter.parameters.insert("custom".to_owned(), parameter);
    let requests = [base, reshaped, another, more, fewer_outputs, with_parameter];
    for (n, request) in (1..).zip(&requests) {
        server.client().await.model_infer(request.clone()).await.unwrap();
        assert_eq!(counts(&server, "two")[..3], [0, n, n]);
    }
    for (n, request) in (1..).zip(&requests) {
        server.client().await.model_infer(request.clone()).await.unwrap();
        assert_eq!(counts(&server, "two")[0], n);
    }
}

#[tokio::test]
async fn what_is_not_to_be_cached_is_not() {
    let server = server(1 << 20).await;
    for _ in 0..2 {
        infer(&server, fp32("plain", "", &[1, 1], &[1.0])).await;
        server.client().await.model_infer(fp32("fail", "", &[1], &[1.0])).await.unwrap_err();
    }
    assert_eq!(counts(&server, "plain"), [0, 0, 2, 2, 2]);
    assert_eq!(counts(&server, "fail"), [0, 0, 0, 0, 0]);
    assert_eq!(counters(&server, "fail").fail.count, 2);
}

#[tokio::test]
async fn without_a_cache_the_config_has_no_effect() {
    let server = server(0).await;
    for _ in 0..2 {
        infer(&server, fp32("cached", "", &[1, 1], &[1.0])).await;
    }
    assert_eq!(counts(&server, "cached"), [0, 0, 2, 2, 2]);
    assert!(!server.scrape().await.text().contains("nv_cache"));
}

#[tokio::test]
async fn a_response_larger_than_the_cache_is_a_miss_each_time() {
    let server = server(1000).await;
    for n in 1..=2 {
        infer(&server, fp32("cached", "", &[1, 1000], &[1.0; 1000])).await;
        assert_eq!(counts(&server, "cached"), [0, n, n, n, n]);
    }
}

#[tokio::test]
async fn a_version_that_was_loaded_again_has_nothing_in_the_cache() {
    let server = server(1 << 20).await;
    let request = || fp32("cached", "", &[1, 1], &[1.0]);
    infer(&server, request()).await;
    infer(&server, request()).await;
    assert_eq!(counts(&server, "cached")[..2], [1, 1]);
    server.core.load("cached", LoadOverrides::default()).await.unwrap();
    infer(&server, request()).await;
    // Statistics are reset with the version.
    assert_eq!(counts(&server, "cached")[..2], [0, 1]);
    server.core.unload("cached", false).await.unwrap();
    server.core.load("cached", LoadOverrides::default()).await.unwrap();
    infer(&server, request()).await;
    assert_eq!(counts(&server, "cached")[..2], [0, 1]);
}

#[tokio::test]
async fn hits_and_misses_are_told_everywhere() {
    let server = server(1 << 20).await;
    for _ in 0..3 {
        infer(&server, fp32("cached", "", &[1, 1], &[1.0])).await;
    }
    let page = server.scrape().await.text();
    for line in [
        "nv_cache_num_hits_per_model{model=\"cached\",version=\"1\"} 2",
        "nv_cache_num_misses_per_model{model=\"cached\",version=\"1\"} 1",
        "nv_inference_request_success{model=\"cached\",version=\"1\"} 3",
        "nv_inference_count{model=\"cached\",version=\"1\"} 1",
        "# TYPE nv_cache_hit_duration_per_model counter",
        "# TYPE nv_cache_miss_duration_per_model counter",
    ] {
        assert!(page.lines().any(|l| l == line), "{line} is not on the page:\n{page}");
    }
    assert!(!page.contains("nv_cache_num_hits_per_model{model=\"plain\""), "it has no cache");
    let asked = ModelStatisticsRequest { name: "cached".to_owned(), ..Default::default() };
    let reply = server.client().await.model_statistics(asked).await.unwrap().into_inner();
    let stats = reply.model_stats[0].inference_stats.as_ref().unwrap();
    assert_eq!((stats.cache_hit.unwrap().count, stats.cache_miss.unwrap().count), (2, 1));
    let http = server.get("/v2/models/cached/stats").await.text();
    assert!(http.contains("\"cache_hit\":{\"count\":2,"), "{http}");
}

fn ensemble(step: &str, more: &str) -> String {
    format!(
        "platform: \"ensemble\" max_batch_size: 8 {more}
            input {{ name: \"INPUT0\" data_type: TYPE_FP32 dims: -1 }}
            output {{ name: \"OUT\" data_type: TYPE_FP32 dims: -1 }}
            ensemble_scheduling {{ step {{ model_name: \"{step}\" model_version: -1
                input_map {{ key: \"INPUT0\" value: \"INPUT0\" }}
                output_map {{ key: \"OUTPUT0\" value: \"OUT\" }} }} }}"
    )
}

#[tokio::test]
async fn ensembles_and_what_they_are_made_of_are_cached_each_on_its_own() {
    let repository = Repository::default()
        .with("plain", &identity_config(8, ""))
        .with("cached", &identity_config(8, CACHED))
        .with("outer", &ensemble("plain", CACHED))
        .with("inner", &ensemble("cached", ""));
    let (server, faults) =
        TestServer::start_with(repository, |settings| settings.response_cache_byte_size = 1 << 20).await;
    assert_eq!(faults, [""; 0]);
    for _ in 0..3 {
        assert_eq!(infer(&server, fp32("outer", "", &[1, 1], &[1.0])).await, [1.0]);
        assert_eq!(infer(&server, fp32("inner", "", &[1, 1], &[2.0])).await, [2.0]);
    }
    assert_eq!(counts(&server, "outer"), [2, 1, 3, 1, 1]);
    assert_eq!(counts(&server, "plain"), [0, 0, 1, 1, 1]);
    assert_eq!(counts(&server, "inner"), [0, 0, 3, 3, 3]);
    assert_eq!(counts(&server, "cached"), [2, 1, 3, 1, 1]);
    // Reloading the composing model invalidates the ensemble's responses.
    server.core.load("plain", LoadOverrides::default()).await.unwrap();
    infer(&server, fp32("outer", "", &[1, 1], &[1.0])).await;
    assert_eq!(counts(&server, "outer")[..3], [2, 2, 4]);
    assert_eq!(counts(&server, "plain")[..3], [0, 0, 1]);
}

#[tokio::test]
async fn models_that_answer_many_times_or_in_sequences_refuse_a_cache() {
    let repository = Repository::default()
        .with("d", &identity_config(0, &format!("{CACHED} model_transaction_policy {{ decoupled: true }}")));
    let (_server, faults) = TestServer::start_with(repository, |_| {}).await;
    let expected = "Response Cache does not currently support model d with 'decoupled' transaction policy. Please \
                    disable the response cache.";
    assert!(faults.iter().any(|fault| fault.contains(expected)), "{faults:?}");
}
