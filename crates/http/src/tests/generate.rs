//! The generate extension.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::gate::News;
use super::{Answer, Fixture};

const NOT_ONE: &str = "generate expects model to produce exactly 1 response, use generate stream for model that \
                       generates various number of responses";

/// A decoupled model that answers whenever its gate is opened.
const GATE: &str = r#"backend: "gate" input { name: "INPUT0" data_type: TYPE_UINT8 dims: -1 }
    output { name: "OUTPUT0" data_type: TYPE_UINT8 dims: -1 } model_transaction_policy { decoupled: true }"#;

const TYPES: &str = r#"backend: "identity"
    input [ { name: "INPUT0" data_type: TYPE_BOOL dims: -1 }, { name: "INPUT1" data_type: TYPE_INT64 dims: [ -1, -1 ] } ]
    output [ { name: "OUTPUT0" data_type: TYPE_BOOL dims: -1 },
             { name: "OUTPUT1" data_type: TYPE_INT64 dims: [ -1, -1 ] } ]"#;

const NESTED: &str = r#"backend: "fail" input { name: "parameters" data_type: TYPE_FP32 dims: 1 }
    output { name: "OUT" data_type: TYPE_FP32 dims: 1 }"#;

impl Fixture {
    async fn generate(&self, model: &str, body: &str) -> Answer {
        self.post(&format!("/v2/models/{model}/generate"), body).await
    }

    async fn stream(&self, model: &str, body: &str) -> Answer {
        self.post(&format!("/v2/models/{model}/generate_stream"), body).await
    }

    /// With a further model, loaded.
    async fn with(name: &str, config: &str) -> Fixture {
        let fixture = Fixture::new(&[(name, config)]).await;
        let answer = fixture.post(&format!("/v2/repository/models/{name}/load"), "").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        fixture
    }
}

impl Answer {
    /// The status and the events.
    #[track_caller]
    fn events(&self) -> (u16, Vec<Value>) {
        assert_eq!(self.headers["content-type"], "text/event-stream; charset=utf-8");
        let text = self.text();
        assert!(text.is_empty() || text.ends_with("\n\n"), "{text}");
        let event = |line: &str| serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap();
        (self.status, text.split_terminator("\n\n").map(event).collect())
    }
}

#[tokio::test]
async fn a_response_is_flat_and_in_the_order_of_its_names() {
    let fixture = Fixture::new(&[]).await;
    let parameters = r#""param0":"an example string parameter","param1":42,"param2":false,"param3":123.123"#;
    let answer = fixture.generate("bytes", r#"{"INPUT0":["a","b\n"],"id":"g1"}"#).await;
    let head = r#""model_name":"bytes","model_version":"1""#;
    answer.ok();
    assert_eq!(answer.text(), format!(r#"{{"OUTPUT0":["a","b\n"],"id":"g1",{head},{parameters}}}"#));
    let answer = fixture.post("/v2/models/bytes/versions/1/generate", r#"{"INPUT0":"a"}"#).await;
    answer.ok();
    assert_eq!(answer.text(), format!(r#"{{"OUTPUT0":"a",{head},{parameters}}}"#));
}

#[tokio::test]
async fn one_element_is_a_scalar_both_ways_and_several_are_flat() {
    let fixture = Fixture::new(&[]).await;
    for (model, given, back) in [
        ("fp32", "1.5", json!(1.5)),
        ("fp32", "[1.5]", json!(1.5)),
        ("fp32", "[1.5, 2]", json!([1.5, 2.0])),
        ("fp32", "[]", json!([])),
        ("batch", "[1, 2]", json!([1.0, 2.0])),
        // What is more than one batch entry is several.
        ("batch", "[1, 2, 3, 4]", json!([1.0, 2.0, 3.0, 4.0])),
        ("one_text", r#""""#, json!("")),
        ("bytes", "[]", json!([])),
    ] {
        let answer = fixture.generate(model, &format!(r#"{{"INPUT0":{given}}}"#)).await.ok();
        assert_eq!(answer["OUTPUT0"], back, "{given}");
    }
    let fixture = Fixture::with("types", TYPES).await;
    let body = r#"{"parameters":{"INPUT0":true},"INPUT1":[-1,2],"x":0}"#;
    let answer = fixture.generate("types", body).await.ok();
    assert_eq!((&answer["OUTPUT0"], &answer["OUTPUT1"]), (&json!(true), &json!([-1, 2])));
}

#[tokio::test]
async fn decoupled_models() {
    let fixture = Fixture::new(&[]).await;
    let one = |out: i32| json!({"OUT": out, "model_name": "many", "model_version": "1"});
    assert_eq!(fixture.generate("many", r#"{"IN":1}"#).await.ok(), one(0));
    for body in [r#"{"IN":0}"#, r#"{"IN":2}"#, r#"{"IN":3}"#] {
        fixture.generate("many", body).await.refused(400, NOT_ONE);
    }
    assert_eq!(fixture.stream("many", r#"{"IN":3}"#).await.events(), (200, vec![one(0), one(1), one(2)]));
    assert_eq!(fixture.stream("many", r#"{"IN":0}"#).await.events(), (200, vec![]));
    let (status, events) = fixture.stream("many", r#"{"IN":[1],"id":"s"}"#).await.events();
    assert_eq!((status, events.len(), &events[0]["id"]), (200, 1, &json!("s")));
    // A model that answers once may be streamed, too.
    let (status, events) = fixture.stream("fp32", r#"{"INPUT0":2}"#).await.events();
    assert_eq!((status, events.len(), &events[0]["OUTPUT0"]), (200, 1, &json!(2.0)));
}

#[tokio::test]
async fn errors_of_the_model_are_events_of_a_stream() {
    let fixture = Fixture::new(&[]).await;
    fixture.generate("fails", r#"{"IN":1}"#).await.refused(400, "boom from the model");
    let boom = vec![json!({"error": "boom from the model"})];
    assert_eq!(fixture.stream("fails", r#"{"IN":1}"#).await.events(), (400, boom));
    let (status, events) = fixture.stream("many", r#"{"IN":100001}"#).await.events();
    assert_eq!((status, events.len()), (400, 1));
}

#[tokio::test]
async fn parameters_of_every_kind_are_accepted() {
    let fixture = Fixture::new(&[]).await;
    let body = r#"{"a":1,"b":"x","c":true,"INPUT0":1,"a":2,"parameters":{"d":1.5,"e":18446744073709551615}}"#;
    fixture.generate("fp32", body).await.ok();
    for (value, status) in [("null", 400), ("{}", 400), ("[1]", 400)] {
        let text = |name| {
            format!("parameter '{name}' has invalid type. It should be either 'int', 'bool', or 'string'.")
        };
        let body = format!(r#"{{"INPUT0":1,"foo":{value}}}"#);
        fixture.generate("fp32", &body).await.refused(status, &text("foo"));
        let body = format!(r#"{{"INPUT0":1,"parameters":{{"parameters":{value}}}}}"#);
        let text = format!("Converting keyword: 'parameters': {}", text("parameters"));
        fixture.stream("fp32", &body).await.refused(status, &text);
    }
    let many: Vec<String> = (0..1025).map(|i| format!(r#""p{i}":{i}"#)).collect();
    let answer = fixture.generate("fp32", &format!("{{{}}}", many.join(","))).await;
    answer.refused(400, "a request has at most 1024 parameters");
}

#[tokio::test]
async fn what_is_wrong_before_execution_is_plain_json() {
    let fixture = Fixture::new(&[]).await;
    let shape = "The schema can not convert input 'INPUT0' to tensor with proper shape";
    let missing = "[request id: <id_unknown>] expected 1 inputs but got 0 inputs for model 'fp32'. Got input(s) [], but \
                   missing required input(s) ['INPUT0']. Please provide all required input(s).";
    let half =
        "receiving FP16 data via JSON is not supported. Please use the binary data format for input INPUT0";
    let object =
        "Expected JSON object for keyword: 'parameters': attempt to access JSON non-object as object";
    let syntax = |text: &str| format!("failed to parse the request JSON buffer: {text}");
    let comma = syntax("Missing a comma or } after an object member. at 19");
    let number = "Unable to parse 'data': attempt to access JSON non-signed-integer as signed-integer";
    let nested = format!("Converting keyword: 'parameters': {shape}");
    let cases = [
        ("nope", "{}", 404, "Request for unknown model: 'nope' is not found"),
        ("fp32", "", 400, &syntax("The document is empty. at 0")),
        ("fp32", "{", 400, &syntax("Missing a name for object member. at 1")),
        ("fp32", "[]", 400, "attempt to get members for non-object"),
        ("fp32", r#"{"INPUT0":"x","a":1"#, 400, &comma),
        ("fp32", "{}", 400, missing),
        (
            "fp32",
            r#"{"INPUT0":1,"id":5}"#,
            400,
            "Unable to parse 'id': attempt to access JSON non-string as string",
        ),
        ("fp32", r#"{"INPUT0":1,"parameters":5}"#, 400, object),
        ("fp16", r#"{"INPUT0":1}"#, 400, half),
        ("batch", r#"{"INPUT0":1}"#, 400, shape),
        ("batch", r#"{"parameters":{"INPUT0":[1,2,3]}}"#, 400, &nested),
        ("many", r#"{"IN":"abc"}"#, 400, number),
        ("many", r#"{"IN":null}"#, 400, number),
        ("many", r#"{"IN":{}}"#, 400, number),
        (
            "bytes",
            r#"{"INPUT0":5}"#,
            400,
            "Unable to parse JSON bytes array: attempt to access JSON non-string as string",
        ),
        (
            "fp32",
            r#"{"INPUT0":[[1,2],[3]]}"#,
            400,
            "Unable to parse 'data': Shape does not match true shape of 'data' field",
        ),
    ];
    for (model, body, status, text) in cases {
        fixture.generate(model, body).await.refused(status, text);
        fixture.stream(model, body).await.refused(status, text);
    }
}

#[tokio::test]
async fn inputs_that_the_server_refuses() {
    let fixture = Fixture::new(&[]).await;
    assert_eq!(fixture.generate("batch", r#"{"INPUT0":[]}"#).await.status, 400);
    let twice = fixture.generate("fp32", r#"{"INPUT0":1,"id":"x","INPUT0":2,"INPUT0":3}"#).await;
    assert_eq!(twice.status, 400);
    assert!(
        twice.text().contains("[request id: x] input 'INPUT0' already exists in request"),
        "{}",
        twice.text()
    );
    let fixture = Fixture::with("nested", NESTED).await;
    let text = "Keyword 'parameters' for nested schema also given as input tensor name";
    fixture.generate("nested", r#"{"parameters":1}"#).await.refused(400, text);
}

#[tokio::test]
async fn what_the_head_tells() {
    let fixture = Fixture::new(&[]).await;
    for action in ["generate", "generate_stream"] {
        let path = format!("/v2/models/fp32/{action}");
        for coding in ["gzip", "deflate", "br"] {
            let answer =
                fixture.send("POST", &path, &[("content-encoding", coding)], r#"{"INPUT0":1}"#).await;
            answer.refused(400, "Unsupported content-encoding, only 'identity' is supported.");
        }
        let headers = [("content-encoding", "identity")];
        assert_eq!(fixture.send("POST", &path, &headers, r#"{"INPUT0":1}"#).await.status, 200);
        let answer = fixture.get(&path).await;
        answer.refused(405, "Method Not Allowed");
        assert_eq!(answer.headers["allow"], "POST");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_leave_as_they_come_and_dropping_the_body_cancels() {
    let fixture = Fixture::with("open", GATE).await;
    let gate = fixture.gate.clone();
    let request = Request::post("/v2/models/open/generate_stream");
    let request = request.body(Full::new(Bytes::from_static(br#"{"INPUT0":1}"#))).unwrap();
    gate.open();
    let mut body = fixture.front.respond(request).await.into_body();
    let event: &[u8] = b"data: {\"model_name\":\"open\",\"model_version\":\"1\"}\n\n";
    for _ in 0..2 {
        // The model waits at its gate, and still this is here.
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), event);
        gate.open();
    }
    let gate = spawn_blocking(move || {
        assert_eq!(gate.news(), News::Started);
        gate
    });
    let gate = gate.await.unwrap();
    drop(body);
    spawn_blocking(move || assert_eq!(gate.news(), News::Cancelled)).await.unwrap();
    // So does asking for one response of a model that gives more.
    let gate = fixture.gate.clone();
    gate.open();
    gate.open();
    fixture.generate("open", r#"{"INPUT0":1}"#).await.refused(400, NOT_ONE);
    spawn_blocking(move || {
        assert_eq!(gate.news(), News::Started);
        assert_eq!(gate.news(), News::Cancelled);
    })
    .await
    .unwrap();
}
