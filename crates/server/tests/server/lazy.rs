//! Lazy loading, triggered by the first request of each protocol.

use hippocamp_core::{ControlMode, Settings};
use hippocamp_proto::inference::{
    ModelConfigRequest, ModelInferRequest, ModelMetadataRequest, ModelReadyRequest, ModelStatisticsRequest,
};
use hippocamp_testing::{Repository, TestServer, identity_config};
use tokio_stream::StreamExt;

use crate::requests::{fp32, values};

/// A server with a model of 100 bytes for each name, and a budget for one.
async fn server(names: &[&str]) -> TestServer {
    let mut repository = Repository::default();
    for name in names {
        repository = repository.with(name, &identity_config(0, ""));
        repository.write(&format!("{name}/1/weights"), [0; 100]);
    }
    let lazy = |settings: &mut Settings| {
        settings.control_mode = ControlMode::None;
        settings.lazy_load = true;
        settings.lazy_load_memory_budget = 100;
    };
    let (server, faults) = TestServer::start_with(repository, lazy).await;
    assert_eq!(faults, [""; 0]);
    assert_eq!(server.core.ready_count(), 0);
    server
}

fn serves(server: &TestServer, name: &str) -> bool {
    server.core.ready_count() == 1 && !server.core.ready_versions(name).is_empty()
}

#[tokio::test]
async fn every_way_to_ask_loads_the_model() {
    let server = server(&["a", "b"]).await;
    let infer = br#"{"inputs":[{"name":"INPUT0","datatype":"FP32","shape":[1],"data":[1]}]}"#;
    let posts: [(&str, &[u8]); 3] =
        [("infer", infer), ("generate", br#"{"INPUT0":[1]}"#), ("generate_stream", br#"{"INPUT0":[1]}"#)];
    let mut names = ["a", "b"].into_iter().cycle();
    let mut next = || names.next().unwrap();
    for (action, body) in posts {
        let name = next();
        let reply = server.post(&format!("/v2/models/{name}/{action}"), body).await;
        assert_eq!(reply.status, 200, "{action}: {}", reply.text());
        assert!(serves(&server, name), "{action}");
    }
    for action in ["", "/config", "/versions/1", "/versions/1/config"] {
        let name = next();
        assert_eq!(server.get(&format!("/v2/models/{name}{action}")).await.status, 200, "{action}");
        assert!(serves(&server, name), "{action}");
    }
    let mut client = server.client().await;
    let name = next().to_owned();
    let reply = client.model_infer(fp32(&name, "", &[1], &[2.0])).await.unwrap().into_inner();
    assert_eq!((values(&reply), serves(&server, &name)), (vec![2.0], true));
    let name = next().to_owned();
    let requests = tokio_stream::iter([fp32(&name, "", &[1], &[3.0])]);
    let replies = client.model_stream_infer(requests).await.unwrap().into_inner();
    let replies: Vec<_> = replies.map(Result::unwrap).collect().await;
    assert_eq!((replies.len(), &*replies[0].error_message, serves(&server, &name)), (1, "", true));
    let (name, version) = (next().to_owned(), String::new());
    client.model_metadata(ModelMetadataRequest { name: name.clone(), version }).await.unwrap();
    assert!(serves(&server, &name));
    let (name, version) = (next().to_owned(), "1".to_owned());
    client.model_config(ModelConfigRequest { name: name.clone(), version }).await.unwrap();
    assert!(serves(&server, &name));
}

#[tokio::test]
async fn what_only_looks_loads_nothing() {
    let server = server(&["a"]).await;
    let mut client = server.client().await;
    for (version, ready) in [("", true), ("1", true), ("2", false)] {
        let request = ModelReadyRequest { name: "a".to_owned(), version: version.to_owned() };
        assert_eq!(client.model_ready(request).await.unwrap().into_inner().ready, ready, "{version}");
        let path = if version.is_empty() { String::new() } else { format!("/versions/{version}") };
        let status = server.get(&format!("/v2/models/a{path}/ready")).await.status;
        assert_eq!(status, if ready { 200 } else { 400 }, "{version}");
    }
    let request = ModelStatisticsRequest { name: "a".to_owned(), version: String::new() };
    assert!(client.model_statistics(request).await.unwrap().into_inner().model_stats.is_empty());
    assert_eq!(server.get("/v2/models/a/stats").await.text(), r#"{"model_stats":[]}"#);
    let index = server.post("/v2/repository/index", b"").await.text();
    assert_eq!(
        index,
        r#"[{"name":"a","version":"1","state":"READY","reason":"stands by: loaded when a request asks for it"}]"#
    );
    let second = ModelInferRequest { model_version: "2".to_owned(), ..fp32("a", "", &[1], &[1.0]) };
    let error = client.model_infer(second).await.unwrap_err();
    assert_eq!(error.message(), "Request for unknown model: 'a' version 2 is not found");
    assert_eq!(server.get("/v2/health/ready").await.status, 200);
    assert_eq!(server.core.ready_count(), 0);
}
