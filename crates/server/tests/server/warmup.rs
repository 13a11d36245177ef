//! Warm-up ends before a version is ready, and is not counted in statistics.

use hippocamp_core::LoadOverrides;
use hippocamp_testing::{Repository, TestServer, identity_config};

use crate::requests::fp32;

fn warmup(input: &str) -> String {
    format!(
        "model_warmup {{ name: \"zero sample\" batch_size: 1
            inputs {{ key: \"{input}\" value {{ data_type: TYPE_FP32 dims: 4 zero_data: true }} }} }}"
    )
}

const FAIL: &str = "backend: \"fail\" max_batch_size: 0
    input { name: \"IN\" data_type: TYPE_FP32 dims: -1 }
    output { name: \"OUT\" data_type: TYPE_FP32 dims: -1 }";

#[tokio::test]
async fn warm_models_have_served_nobody() {
    let repository = Repository::default().with("warm", &identity_config(4, &warmup("INPUT0")));
    let server = TestServer::start(repository).await;
    let stats = server.get("/v2/models/warm/stats").await.text();
    assert!(stats.contains("\"inference_count\":0,\"execution_count\":0"), "{stats}");
    server.client().await.model_infer(fp32("warm", "", &[1, 1], &[1.0])).await.unwrap();
    let page = server.scrape().await.text();
    assert!(page.contains("nv_inference_request_success{model=\"warm\",version=\"1\"} 1\n"), "{page}");
}

#[tokio::test]
async fn a_sample_that_fails_is_the_reason_in_the_index() {
    let repository = Repository::default().with("m", &identity_config(0, ""));
    let (server, faults) = TestServer::start_with(repository, |_| {}).await;
    assert_eq!(faults, [""; 0]);
    server.repository.write("f/config.pbtxt", format!("{FAIL} {}", warmup("IN")));
    server.repository.version("f", 1);
    let error = server.core.load("f", LoadOverrides::default()).await.unwrap_err();
    let reason = "failed to run warmup sample 'zero sample': boom from the model; ";
    assert!(error.message().contains(reason), "{error}");
    let index = server.post("/v2/repository/index", b"").await.text();
    assert!(index.contains("UNAVAILABLE") && index.contains(reason), "{index}");
    // The old version stays when the warm-up of its successor fails.
    server.repository.write("m/config.pbtxt", identity_config(0, &warmup("INPUT0").replace("FP32", "INT32")));
    server.core.load("m", LoadOverrides::default()).await.unwrap_err();
    server.client().await.model_infer(fp32("m", "", &[1], &[1.0])).await.unwrap();
}
