//! Everything that is only asked.

use std::sync::Arc;

use hippocamp_metrics::Kind;
use hyper::Request;
use serde_json::json;

use super::{Fixture, PAIR, pair};
use crate::metrics::MetricsFront;

#[tokio::test]
async fn health() {
    let fixture = Fixture::new(&[]).await;
    let model = json!({"name": "pair", "ready": true});
    for (path, body) in [
        ("/v2/health/live", json!({"live": true})),
        ("/v2/health/ready", json!({"ready": true})),
        ("/v2/models/pair/ready", model.clone()),
        ("/v2/models/pair/versions/1/ready", model),
    ] {
        for method in ["GET", "HEAD"] {
            assert_eq!(fixture.send(method, path, &[], "").await.ok(), body, "{path}");
        }
        fixture.post(path, "").await.refused(405, "Method Not Allowed");
    }
    for path in ["/v2/models/nope/ready", "/v2/models/pair/versions/9/ready"] {
        fixture.get(path).await.refused(400, "Model version not ready");
    }
    fixture.front.server.begin_stop();
    for (path, body) in
        [("/v2/health/live", json!({"live": false})), ("/v2/health/ready", json!({"ready": false}))]
    {
        let answer = fixture.get(path).await;
        assert_eq!((answer.status, answer.json()), (400, body));
    }
}

#[tokio::test]
async fn unknown_paths() {
    let fixture = Fixture::new(&[]).await;
    for path in ["/", "/v2/", "/v2/foo", "/v2/health/other", "/v1/models", "/v2/models/pair/", "/metrics"] {
        fixture.get(path).await.refused(404, "Not Found");
    }
    fixture.post("/v2/foo", "").await.refused(404, "Not Found");
}

#[tokio::test]
async fn server_metadata() {
    let fixture = Fixture::new(&[]).await;
    let value = fixture.get("/v2").await.ok();
    assert_eq!(value["name"], "triton");
    assert!(value["version"].is_string());
    let extensions = value["extensions"].as_array().unwrap();
    assert!(extensions.contains(&json!("binary_tensor_data")));
    assert!(extensions.contains(&json!("trace")));
    assert!(!extensions.contains(&json!("logging")), "it answers 501");
}

#[tokio::test]
async fn model_metadata() {
    let fixture = Fixture::new(&[]).await;
    let tensor = |name: &str| json!({"name": name, "datatype": "INT32", "shape": [-1, 2]});
    let expected = json!({
        "name": "pair", "versions": ["1"], "platform": "identity",
        "inputs": [tensor("INPUT0"), tensor("INPUT1")], "outputs": [tensor("OUTPUT0"), tensor("OUTPUT1")],
    });
    for path in ["/v2/models/pair", "/v2/models/pair/versions/1", "/v2/models/p%61ir?x=1"] {
        assert_eq!(fixture.get(path).await.ok(), expected);
    }
    let unknown = "Request for unknown model: 'nope' is not found";
    fixture.get("/v2/models/nope").await.refused(404, unknown);
    fixture.get("/v2/models/nope/config").await.refused(404, unknown);
    let unknown = "Request for unknown model: 'pair' version 9 is not found";
    fixture.get("/v2/models/pair/versions/9").await.refused(404, unknown);
}

#[tokio::test]
async fn model_config() {
    let fixture = Fixture::new(&[]).await;
    let config = fixture.get("/v2/models/pair/config").await.ok();
    assert_eq!((&config["name"], &config["max_batch_size"]), (&json!("pair"), &json!(8)));
    assert_eq!(config["input"][0]["data_type"], "TYPE_INT32");
    assert_eq!(config["input"][0]["dims"], json!([2]), "64-bit numbers are numbers");
}

#[tokio::test]
async fn statistics() {
    let fixture = Fixture::new(&[("other", PAIR)]).await;
    fixture.infer("pair", &pair("")).await.ok();
    fixture.infer("fails", r#"{"inputs":[{"name":"IN","shape":[1],"datatype":"INT32","data":[1]}]}"#).await;
    let value = fixture.get("/v2/models/pair/stats").await.ok();
    let [stats] = value["model_stats"].as_array().unwrap().as_slice() else { panic!("one version") };
    assert_eq!((&stats["name"], &stats["version"]), (&json!("pair"), &json!("1")));
    assert_eq!((&stats["inference_count"], &stats["execution_count"]), (&json!(1), &json!(1)));
    assert!(stats["last_inference"].as_u64().unwrap() > 0);
    for key in ["success", "queue", "compute_input", "compute_infer", "compute_output"] {
        assert_eq!(stats["inference_stats"][key]["count"], 1, "{key}");
        assert!(stats["inference_stats"][key]["ns"].is_u64());
    }
    for key in ["fail", "cache_hit", "cache_miss"] {
        assert_eq!(stats["inference_stats"][key], json!({"count": 0, "ns": 0}), "{key}");
    }
    assert_eq!(stats["batch_stats"][0]["batch_size"], 1);
    assert_eq!(stats["batch_stats"][0]["compute_infer"]["count"], 1);
    assert_eq!((&stats["response_stats"], &stats["memory_usage"]), (&json!({}), &json!([])));
    let value = fixture.get("/v2/models/fails/versions/1/stats").await.ok();
    assert_eq!(value["model_stats"][0]["inference_stats"]["fail"]["count"], 1);
    let all = fixture.get("/v2/models/stats").await.ok();
    assert_eq!(all["model_stats"].as_array().unwrap().len(), super::MODELS.len());
    fixture.get("/v2/models/other/stats").await.refused(400, "requested model 'other' is not available");
    let unknown = "requested model version is not available for model 'pair'";
    fixture.get("/v2/models/pair/versions/9/stats").await.refused(400, unknown);
}

#[tokio::test]
async fn metrics_page() {
    let fixture = Fixture::new(&[]).await;
    let front = MetricsFront::new(Arc::clone(&fixture.front.server), hippocamp_access::Access::open());
    let ask = async |method: &str, path: &str, accept: &str| {
        let request = Request::builder().method(method).uri(path).header("accept-encoding", accept);
        let response = front.answer(&request.body(()).unwrap()).await;
        let (head, body) = response.into_parts();
        (head, http_body_util::BodyExt::collect(body).await.unwrap().to_bytes())
    };
    let (head, page) = ask("GET", "/metrics", "").await;
    assert_eq!(head.status, 200);
    assert!(head.headers["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert!(!head.headers.contains_key("content-encoding"));
    assert!(String::from_utf8_lossy(&page).contains("nv_inference_count{model=\"pair\",version=\"1\"} 0"));
    let (head, body) = ask("GET", "/other", "").await;
    assert_eq!((head.status.as_u16(), body.len()), (200, 0));
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(ask(method, "/metrics", "").await.0.status, 405);
    }
}

/// Nearly all of the page is names, again and again.
#[tokio::test]
async fn a_scraper_that_accepts_gzip_gets_it() {
    let fixture = Fixture::new(&[]).await;
    fixture.front.server.add_metrics(|page| {
        let mut family = page.family("many", "Lines of another part of the program", Kind::Gauge);
        (0..5_000).for_each(|number| family.sample(&[("number", number.to_string().as_str())], number));
    });
    let front = MetricsFront::new(Arc::clone(&fixture.front.server), hippocamp_access::Access::open());
    let request = Request::builder().uri("/metrics").header("accept-encoding", "gzip").body(()).unwrap();
    let (head, body) = front.answer(&request).await.into_parts();
    let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
    assert_eq!((head.status.as_u16(), head.headers["content-encoding"].to_str().unwrap()), (200, "gzip"));
    let mut page = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&body[..]), &mut page).unwrap();
    assert!(page.contains("many{number=\"4999\"} 4999\n") && page.contains("nv_inference_count"));
    assert!(body.len() * 4 < page.len(), "{} of {}", body.len(), page.len());
}

#[tokio::test]
async fn the_openapi_document_has_every_route_that_is_served() {
    let fixture = Fixture::new(&[]).await;
    let document = fixture.get("/v2/openapi.json").await.ok();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    for (path, methods) in paths {
        let path = path.replace("{model_version}", "1").replace(['{', '}'], "");
        let route = crate::router::find(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let known = route.methods().iter().map(|method| method.as_str().to_lowercase());
        let told = methods.as_object().unwrap().keys().filter(|key| *key != "parameters").cloned();
        assert_eq!(known.collect::<Vec<_>>(), told.collect::<Vec<_>>(), "{path}");
    }
    for path in ["/v2", "/v2/models/{model_name}/versions/{model_version}/infer", "/v2/repository/index"] {
        assert!(paths.contains_key(path), "{path}");
    }
    assert!(paths.contains_key("/v2/systemsharedmemory/region/{region_name}/register"));
    assert!(!paths.contains_key("/v2/logging"), "it answers 501");
    assert_eq!(
        paths["/v2/models/{model_name}/versions/{model_version}/infer"]["post"]["operationId"],
        "inferOfVersion"
    );
}
