//! Statistics and metrics: every number is counted once, before the response is sent.

use hippocamp_core::{Histograms, Settings};
use hippocamp_testing::{Repository, TestServer, identity_config};
use tokio_stream::StreamExt;

use crate::requests::{fp32, raw};

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
    // A refused request is not counted as a failure.
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

/// The lines of a metric family.
async fn lines(server: &TestServer, family: &str) -> Vec<String> {
    let page = server.scrape().await.text();
    page.lines().filter(|line| line.starts_with(family)).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_model_has_histograms_once_it_was_used() {
    let repository =
        || Repository::default().with("used", &identity_config(4, "")).with("idle", &identity_config(4, ""));
    let histograms = [
        "nv_inference_request_histogram_us_count",
        "nv_inference_queue_histogram_us_count",
        "nv_inference_compute_infer_histogram_us_count",
        "nv_inference_batch_size_histogram_count",
        "nv_inference_queue_depth_histogram_count",
    ];
    for (which, models) in
        [(Histograms::Used, &["used"][..]), (Histograms::All, &["idle", "used"]), (Histograms::Off, &[])]
    {
        let with = |settings: &mut Settings| settings.metrics.histograms = which;
        let (server, _) = TestServer::start_with(repository(), with).await;
        server.client().await.model_infer(fp32("used", "", &[1, 1], &[0.0])).await.unwrap();
        for family in histograms {
            let wanted: Vec<String> = models
                .iter()
                .map(|model| {
                    let count = u8::from(*model == "used");
                    format!("{family}{{model=\"{model}\",version=\"1\"}} {count}")
                })
                .collect();
            assert_eq!(lines(&server, family).await, wanted, "{which:?}");
        }
        assert_eq!(lines(&server, "nv_inference_count").await.len(), 2, "counters are always there");
    }
}

/// The lines of all reasons, which exist from the beginning.
#[tokio::test]
async fn labels_are_tags_namespace_and_reason() {
    let tags = "metric_tags { key: \"team\" value: \"a\\\"b\" } metric_tags { key: \"1.x\" value: \"2\" }";
    let repository = Repository::default()
        .with("one/m", &identity_config(0, tags))
        .with("two/m", &identity_config(0, ""))
        .with("two/n", &identity_config(0, ""));
    let (server, faults) = TestServer::start_with(repository, |settings| {
        let parent = settings.repositories[0].to_string();
        settings.repositories =
            ["one", "two"].map(|name| std::path::Path::new(&parent).join(name).into()).into();
        settings.model_namespacing = true;
    })
    .await;
    assert_eq!(faults, [""; 0]);
    let labels = [
        "_1_x=\"2\",_team=\"a\\\"b\",model=\"m\",namespace=\"one\"",
        "model=\"m\",namespace=\"two\"",
        "model=\"n\",namespace=\"two\"",
    ];
    let reasons = ["REJECTED", "CANCELED", "BACKEND", "OTHER"];
    let mut wanted: Vec<String> = labels
        .iter()
        .flat_map(|labels| reasons.iter().map(move |reason| (labels, reason)))
        .map(|(labels, reason)| {
            format!("nv_inference_request_failure{{{labels},reason=\"{reason}\",version=\"1\"}} 0")
        })
        .collect();
    let mut got = lines(&server, "nv_inference_request_failure").await;
    wanted.sort();
    got.sort();
    assert_eq!(got, wanted);
    assert_eq!(
        lines(&server, "nv_pinned_memory_pool").await,
        ["nv_pinned_memory_pool_total_bytes 0", "nv_pinned_memory_pool_used_bytes 0"]
    );
}

const REPEAT: &str = "backend: \"repeat\" max_batch_size: 0 model_transaction_policy { decoupled: true }
    input { name: \"IN\" data_type: TYPE_INT32 dims: 1 }
    output { name: \"OUT\" data_type: TYPE_INT32 dims: 1 }
    model_metrics { metric_control {
        metric_identifier { family: \"nv_inference_first_response_histogram_ms\" }
        histogram_options { buckets: [ 0.5, 60000 ] } } }";

#[tokio::test]
async fn latencies_as_the_metrics_config_asks_for_them() {
    let repository = Repository::default().with("once", &identity_config(0, "")).with("many", REPEAT);
    let (server, _) = TestServer::start_with(repository, |settings| {
        settings.metrics.counter_latencies = false;
        settings.metrics.histogram_latencies = true;
        settings.metrics.summary_latencies = true;
        settings.metrics.summary_quantiles = vec![0.5, 0.999];
    })
    .await;
    let mut client = server.client().await;
    client.model_infer(fp32("once", "", &[1], &[1.0])).await.unwrap();
    let mut request = raw("many", "", "INT32", &[1], 3i32.to_le_bytes().to_vec());
    request.inputs[0].name = "IN".to_owned();
    let replies = client.model_stream_infer(tokio_stream::iter([request])).await.unwrap().into_inner();
    assert_eq!(replies.map(Result::unwrap).collect::<Vec<_>>().await.len(), 3);

    assert_eq!(lines(&server, "nv_inference_request_duration_us").await, [""; 0]);
    assert_eq!(lines(&server, "nv_inference_request_success").await.len(), 2);
    let first = lines(&server, "nv_inference_first_response_histogram_ms").await;
    assert_eq!(first.len(), 5, "of the decoupled model alone: {first:#?}");
    assert!(first[1].ends_with("{model=\"many\",version=\"1\",le=\"60000\"} 1"), "{first:#?}");
    assert!(first[4].ends_with("_count{model=\"many\",version=\"1\"} 1"), "{first:#?}");
    for phase in ["request", "queue", "compute_input", "compute_infer", "compute_output"] {
        let summary = lines(&server, &format!("nv_inference_{phase}_summary_us")).await;
        assert_eq!(summary.len(), 8, "{summary:#?}");
        let of_once = "{model=\"once\",version=\"1\",quantile=\"0.999\"} ";
        let value = summary.iter().find_map(|line| line.split(of_once).nth(1)).unwrap();
        assert!(value.parse::<f64>().unwrap() >= 0.0, "{value}");
        assert!(summary.iter().any(|line| line.ends_with("_count{model=\"once\",version=\"1\"} 1")));
    }
    assert_eq!(lines(&server, "nv_cache_hit_summary_per_model").await, [""; 0], "there is no cache");
}
