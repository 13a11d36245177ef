//! Index, load and unload.

use serde_json::{Value, json};

use super::{Fixture, PAIR};

async fn state(fixture: &Fixture, model: &str) -> Value {
    let index = fixture.post("/v2/repository/index", "").await.ok();
    index.as_array().unwrap().iter().find(|entry| entry["name"] == model).unwrap().clone()
}

#[tokio::test]
async fn index() {
    let fixture = Fixture::new(&[("later", PAIR)]).await;
    assert_eq!(state(&fixture, "later").await, json!({"name": "later"}));
    assert_eq!(state(&fixture, "pair").await, json!({"name": "pair", "version": "1", "state": "READY"}));
    let all = fixture.post("/v2/repository/foo/index", "{\"ready\":false}").await.ok();
    let ready = fixture.post("/v2/repository/index", "{\"ready\": true}").await.ok();
    let count = super::MODELS.len();
    assert_eq!((all.as_array().unwrap().len(), ready.as_array().unwrap().len()), (count + 1, count));
    fixture.get("/v2/repository/index").await.refused(405, "Method Not Allowed");
    fixture
        .post("/v2/repository/index", "{")
        .await
        .refused(400, "failed to parse the request JSON buffer: Missing a name for object member. at 1");
    fixture
        .post("/v2/repository/index", r#"{"ready": "yes"}"#)
        .await
        .refused(400, "attempt to access JSON non-boolean as boolean");
    let object = "the body of the request is expected to be a JSON object";
    for body in ["[]", "5", "\"ready\"", "[true]"] {
        fixture.post("/v2/repository/index", body).await.refused(400, object);
    }
}

#[tokio::test]
async fn load_and_unload() {
    let fixture = Fixture::new(&[("later", PAIR)]).await;
    for body in ["", "{}", "null", r#"{"parameters":{}}"#] {
        let answer = fixture.post("/v2/repository/models/later/load", body).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{body}");
        assert_eq!(fixture.get("/v2/models/later/ready").await.status, 200);
    }
    for body in
        ["", r#"{"parameters":{"unload_dependents":false}}"#, r#"{"parameters":{"unload_dependents":true}}"#]
    {
        let answer = fixture.post("/v2/repository/models/later/unload", body).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{body}");
    }
    assert_eq!(fixture.get("/v2/models/later/ready").await.status, 400);
    assert_eq!(fixture.post("/v2/repository/models/nope/unload", "").await.status, 200);
    let failed = "failed to load 'nope', failed to poll from model repository";
    fixture.post("/v2/repository/models/nope/load", "").await.refused(500, failed);
    let in_repository = "'repository_name' specification is not supported";
    fixture.post("/v2/repository/r/models/later/load", "").await.refused(501, in_repository);
    fixture.post("/v2/repository/r/models/later/unload", "").await.refused(501, in_repository);
    fixture.get("/v2/repository/models/later/load").await.refused(405, "Method Not Allowed");
    for name in ["..", "..%2Fpair", "%2e%2e"] {
        let answer = fixture.post(&format!("/v2/repository/models/{name}/load"), "").await;
        assert!(answer.status >= 400, "{name}");
    }
}

#[tokio::test]
async fn load_with_a_config_and_files_of_its_own() {
    let fixture = Fixture::new(&[("later", PAIR)]).await;
    let load = "/v2/repository/models/later/load";
    let tensor = |name: &str| json!({"name": name, "data_type": "TYPE_FP32", "dims": [3]});
    let config = json!({"backend": "identity", "input": [tensor("INPUT0")], "output": [tensor("OUTPUT0")]});
    let body = json!({"parameters": {"config": config.to_string()}}).to_string();
    assert_eq!(fixture.post(load, &body).await.status, 200);
    assert_eq!(fixture.get("/v2/models/later").await.ok()["inputs"][0]["shape"], json!([3]));
    // Files alone make a model that no repository has.
    let body = json!({"parameters": {"config": config.to_string(), "file:1/model.x": "aGVsbG8"}}).to_string();
    assert_eq!(fixture.post("/v2/repository/models/own/load", &body).await.status, 200);
    assert_eq!(fixture.get("/v2/models/own/versions/1/ready").await.status, 200);
    let body =
        json!({"parameters": {"config": config.to_string(), "file:1/model.x": "aGVs\r\nbG8=\n"}}).to_string();
    assert_eq!(fixture.post("/v2/repository/models/own/load", &body).await.status, 200, "base64 in lines");
    let body = json!({"parameters": {"config": config.to_string(), "file:1/model.x": "***"}}).to_string();
    let answer = fixture.post("/v2/repository/models/own/load", &body).await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.text().contains("override file '1/model.x' of model 'own' is not valid base64"),
        "{}",
        answer.text()
    );
    // A plain load keeps the config; an unload forgets it.
    assert_eq!(fixture.post(load, "").await.status, 200);
    assert_eq!(fixture.get("/v2/models/later").await.ok()["inputs"][0]["shape"], json!([3]));
    assert_eq!(fixture.post("/v2/repository/models/later/unload", "").await.status, 200);
    assert_eq!(fixture.post(load, "").await.status, 200);
    assert_eq!(fixture.get("/v2/models/later").await.ok()["inputs"][0]["shape"], json!([-1, 2]));
}

#[tokio::test]
async fn parameters_that_are_refused() {
    let fixture = Fixture::new(&[("later", PAIR)]).await;
    let load = "/v2/repository/models/later/load";
    let cases = [
        (r#"{"parameters":{"foo":"bar"}}"#, "unexpected error on creating Triton parameter"),
        (
            r#"{"parameters":{"config":{"backend":"identity"}}}"#,
            "attempt to access JSON non-string as string",
        ),
        (r#"{"parameters":3}"#, "attempt to get members for non-object"),
        ("{", "failed to parse the request JSON buffer: Missing a name for object member. at 1"),
        (
            r#"{"parameters":{"foo":1},"x":tru}"#,
            "failed to parse the request JSON buffer: Invalid value. at 31",
        ),
    ];
    for (body, text) in cases {
        fixture.post(load, body).await.refused(400, text);
    }
    fixture
        .post("/v2/repository/models/later/unload", r#"{"parameters":{"unload_dependents":"x"}}"#)
        .await
        .refused(400, "Unable to parse 'unload_dependents': attempt to access JSON non-boolean as boolean");
}
