//! The console on a server: what its page asks, and what happened is in the answers once.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::net::SocketAddr;
use std::sync::Arc;

use hippocamp_access::Access;
use hippocamp_console::{Console, ConsoleFront};
use hippocamp_http::{HttpFront, HttpSettings, MetricsFront};
use hippocamp_net::{Http2, Port};
use hippocamp_testing::{HttpReply, Repository, TestServer, identity_config, send};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const FAIL: &str = "backend: \"fail\" max_batch_size: 0
    input { name: \"IN\" data_type: TYPE_FP32 dims: -1 }
    output { name: \"OUT\" data_type: TYPE_FP32 dims: -1 }";

/// Serves the console of a server on a port of its own, with v2 beside it if it acts.
async fn serve(server: &TestServer, acts: bool) -> (Arc<Console>, SocketAddr) {
    let console = Console::new(Arc::clone(&server.core), Access::open(), acts);
    let v2 = acts.then(|| HttpFront::on(&server.network, Arc::clone(&server.core), HttpSettings::default()));
    let front: ConsoleFront<HttpFront, MetricsFront> =
        ConsoleFront::new(Some(Arc::clone(&console)), v2, None);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let port = Port { name: "console", http1: true, http2: Http2::default(), counted: false };
    tokio::spawn(hippocamp_net::serve(listener, Arc::clone(&server.network), port, front));
    (console, address)
}

async fn get(at: SocketAddr, path: &str) -> HttpReply {
    send(at, "GET", path, &[], b"").await
}

async fn asked(at: SocketAddr, path: &str) -> Value {
    let reply = get(at, path).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    serde_json::from_slice(&reply.body).unwrap()
}

async fn infer(at: SocketAddr, model: &str, input: &str) -> HttpReply {
    infer_shape(at, model, input, &[2, 1]).await
}

async fn infer_shape(at: SocketAddr, model: &str, input: &str, shape: &[i64]) -> HttpReply {
    let input = json!({ "name": input, "shape": shape, "datatype": "FP32", "data": [1.0, 2.0] });
    let body = json!({ "inputs": [input] });
    let path = format!("/v2/models/{model}/infer");
    send(at, "POST", &path, &[], body.to_string().as_bytes()).await
}

#[tokio::test]
async fn what_happened_is_told_once() {
    let repository = Repository::default().with("b", &identity_config(4, "")).with("fail", FAIL);
    let server = TestServer::start(repository).await;
    assert_eq!(infer(server.http, "b", "INPUT0").await.status, 200);
    // What was before it is none of the last minutes.
    let (console, at) = serve(&server, true).await;
    for _ in 0..3 {
        assert_eq!(infer(at, "b", "INPUT0").await.status, 200, "v2 is beside the page");
    }
    assert_ne!(infer_shape(at, "fail", "IN", &[2]).await.status, 200);
    console.sample();
    console.sample();

    let all = asked(at, "/console/history").await;
    let samples = all["samples"].as_array().unwrap();
    assert_eq!((all["next"].as_u64(), samples.len()), (Some(2), 2));
    assert_eq!((&samples[0]["models"]["b"][0], &samples[0]["models"]["b"][1]), (&json!(3), &json!(0)));
    assert_eq!(samples[1]["models"], json!({}), "nothing came since");
    assert!(samples[0]["used"].as_u64() > Some(0) && samples[0]["resident"].as_u64() > Some(0));
    assert_eq!(asked(at, "/console/history?since=1").await["samples"].as_array().unwrap().len(), 1);

    let of_b = asked(at, "/console/history?model=b").await;
    let first = &of_b["samples"][0];
    assert_eq!(
        (&first["succeeded"], &first["inferences"], &first["batches"]),
        (&json!(3), &json!(6), &json!([[2, 3]]))
    );
    assert!(first["request"][2].as_u64() >= first["request"][0].as_u64());
    let of_fail = asked(at, "/console/history?model=fail").await;
    assert_eq!(of_fail["samples"][0]["failed"], json!([0, 0, 1, 0]));

    // A version that is loaded anew counts from zero.
    let reply = send(at, "POST", "/v2/repository/models/b/load", &[], b"{}").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(infer(at, "b", "INPUT0").await.status, 200);
    console.sample();
    assert_eq!(asked(at, "/console/history?since=2").await["samples"][0]["models"]["b"][0], json!(1));
}

#[tokio::test]
async fn faults_have_their_line_and_a_suggestion() {
    let broken =
        "backend: \"identity\"\nmax_batch_size: 4\ninput {\n  name: \"INPUT0\"\n  data_typ: TYPE_FP32\n}";
    let repository = Repository::default().with("b", &identity_config(4, "")).with("broken", broken);
    let (server, faults) = TestServer::start_with(repository, |_| ()).await;
    assert_eq!(faults.len(), 1);
    let (_, at) = serve(&server, false).await;
    let state = asked(at, "/console/state").await;
    assert_eq!((&state["server"]["mode"], &state["server"]["acts"]), (&json!("explicit"), &json!(false)));
    let models = state["models"].as_array().unwrap();
    let names: Vec<&str> = models.iter().filter_map(|model| model["name"].as_str()).collect();
    assert_eq!(names, ["b", "broken"]);
    assert_eq!((&models[0]["versions"][0]["state"], &models[0]["infers"]), (&json!("READY"), &json!(false)));
    let version = &models[1]["versions"][0];
    assert_eq!(version["state"], "UNAVAILABLE");
    assert!(version["reason"].as_str().unwrap().starts_with("line 5 of its config: "), "{version}");

    let about = asked(at, "/console/model?model=broken").await;
    assert_eq!(about["written"]["text"], broken);
    let finding = &about["written"]["findings"][0];
    assert_eq!(
        (&finding["line"], &finding["column"], &finding["error"]),
        (&json!(5), &json!(3), &json!(true))
    );
    assert_eq!(finding["hint"], "write 'data_type'");
    let about = asked(at, "/console/model?model=b").await;
    assert_eq!(
        (&about["inputs"][0]["datatype"], &about["inputs"][0]["shape"][0]),
        (&json!("FP32"), &json!(-1))
    );
    assert!(about["config"]["instance_group"].is_array(), "as it was completed");

    assert_eq!(get(at, "/console/model?model=none").await.status, 404);
    assert_eq!(get(at, "/console/model").await.status, 404);
    assert_eq!(get(at, "/console/other").await.status, 404);
    assert_eq!(get(at, "/v2/models/b").await.status, 404, "v2 is not here");
    assert_eq!(send(at, "POST", "/console/state", &[], b"").await.status, 405);
}

#[tokio::test]
async fn steps_of_an_ensemble_have_their_times() {
    let maps =
        "input_map { key: \"INPUT0\" value: \"INPUT0\" } output_map { key: \"OUTPUT0\" value: \"OUTPUT0\" }";
    let ensemble = format!(
        "platform: \"ensemble\" max_batch_size: 4
         input {{ name: \"INPUT0\" data_type: TYPE_FP32 dims: -1 }}
         output {{ name: \"OUTPUT0\" data_type: TYPE_FP32 dims: -1 }}
         ensemble_scheduling {{ step {{ model_name: \"b\" model_version: -1 {maps} }} }}"
    );
    let repository = Repository::default().with("b", &identity_config(4, "")).with("e", &ensemble);
    let server = TestServer::start(repository).await;
    let (console, at) = serve(&server, true).await;
    assert_eq!(infer(at, "e", "INPUT0").await.status, 200);
    console.sample();
    let about = asked(at, "/console/model?model=e").await;
    let step = &about["steps"][0];
    assert_eq!((&step["model"], &step["requests"]), (&json!("b"), &json!(1)));
    assert_eq!(
        (&step["inputs"], &step["outputs"]),
        (&json!({ "INPUT0": "INPUT0" }), &json!({ "OUTPUT0": "OUTPUT0" }))
    );
    assert_eq!(asked(at, "/console/model?model=b").await["steps"], Value::Null);
}

#[tokio::test]
async fn the_page_is_one_of_its_own_and_other_sites_cannot_use_it() {
    let server = TestServer::start(Repository::default().with("b", &identity_config(4, ""))).await;
    let (_, at) = serve(&server, true).await;
    let page = send(at, "GET", "/", &[("Accept-Encoding", "gzip, br")], b"").await;
    let head = page.head.to_ascii_lowercase();
    assert!(head.contains("content-security-policy: default-src 'none'"), "{head}");
    assert!(head.contains("content-encoding: gzip") && head.contains("x-frame-options: deny"), "{head}");
    // As curl asks.
    for path in ["/", "/console/console.js", "/console/console.css"] {
        let page = get(at, path).await;
        assert!(!page.head.to_ascii_lowercase().contains("content-encoding"), "{}", page.head);
        let file = path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("index.html");
        let dist = concat!(env!("CARGO_MANIFEST_DIR"), "/../../console/dist/");
        assert_eq!(page.body, std::fs::read(format!("{dist}{file}")).unwrap(), "{path}");
    }
    let path = "/v2/repository/models/b/unload";
    for (site, status) in [("cross-site", 403), ("same-site", 403), ("same-origin", 200)] {
        let reply = send(at, "POST", path, &[("Sec-Fetch-Site", site)], b"{}").await;
        assert_eq!(reply.status, status, "{site}");
    }
}
