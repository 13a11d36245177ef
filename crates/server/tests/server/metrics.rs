//! Statistics and metrics: every number counted once, before the answer leaves.

use hippocamp_testing::{Repository, TestServer, identity_config};

use crate::requests::fp32;

#[tokio::test]
async fn counts_are_there_when_the_answer_is() {
    let server = TestServer::start(Repository::default().with("b", &identity_config(4, ""))).await;
    let mut client = server.client().await;
    for n in 1..=3 {
        client.model_infer(fp32("b", "", &[2, 1], &[0.0, 1.0])).await.unwrap();
        let counters = &server.core.statistics("b", None).unwrap()[0].counters;
        assert_eq!(
            (counters.success.count, counters.inference_count, counters.execution_count),
            (n, 2 * n, n)
        );
        assert_eq!(counters.queue.count, n);
        assert_eq!(counters.phases.compute_infer.count, n);
        assert_eq!(counters.batches[&2].compute_input.count, n);
    }
    // A request that is refused is nobody's failure.
    client.model_infer(fp32("b", "", &[9, 1], &[0.0; 9])).await.unwrap_err();
    assert_eq!(server.core.statistics("b", None).unwrap()[0].counters.fail.count, 0);
}

#[tokio::test]
async fn the_page_for_prometheus_tells_the_same() {
    let repository = Repository::default().with("b", &identity_config(4, "")).with("fail", FAIL);
    let server = TestServer::start(repository).await;
    let mut client = server.client().await;
    client.model_infer(fp32("b", "", &[2, 1], &[0.0, 1.0])).await.unwrap();
    let mut failing = fp32("fail", "", &[1], &[1.0]);
    failing.inputs[0].name = "IN".to_owned();
    assert_eq!(client.model_infer(failing).await.unwrap_err().message(), "boom from the model");
    let page = server.scrape().await.text();
    for line in [
        "# TYPE nv_inference_request_success counter",
        "nv_inference_request_success{model=\"b\",version=\"1\"} 1",
        "nv_inference_count{model=\"b\",version=\"1\"} 2",
        "nv_inference_request_failure{model=\"fail\",reason=\"BACKEND\",version=\"1\"} 1",
        "nv_inference_pending_request_count{model=\"b\",version=\"1\"} 0",
        "nv_inference_request_histogram_us_count{model=\"b\",version=\"1\"} 1",
        "nv_inference_request_histogram_us_bucket{model=\"b\",version=\"1\",le=\"+Inf\"} 1",
    ] {
        assert!(page.lines().any(|l| l == line), "{line} is not on the page:\n{page}");
    }
}

const FAIL: &str = "backend: \"fail\" max_batch_size: 0
    input { name: \"IN\" data_type: TYPE_FP32 dims: -1 }
    output { name: \"OUT\" data_type: TYPE_FP32 dims: -1 }";
