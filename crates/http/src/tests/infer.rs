//! Inference that works.

use serde_json::json;

use super::{Fixture, LENGTH, binary_input, input, pair};

/// What every response of the backend carries.
fn parameters() -> serde_json::Value {
    json!({"param0": "an example string parameter", "param1": 42, "param2": false, "param3": 123.123})
}

#[tokio::test]
async fn json_in_and_out() {
    let fixture = Fixture::new(&[]).await;
    let answer = fixture.infer("pair", &pair(r#","id":"abc-1""#)).await;
    let expected = json!({
        "id": "abc-1", "model_name": "pair", "model_version": "1", "parameters": parameters(),
        "outputs": [
            {"name": "OUTPUT0", "datatype": "INT32", "shape": [1, 2], "data": [1, 2]},
            {"name": "OUTPUT1", "datatype": "INT32", "shape": [1, 2], "data": [3, -4]},
        ]
    });
    assert_eq!(answer.ok(), expected);
    assert!(!answer.headers.contains_key(LENGTH));
    let begin = r#"{"id":"abc-1","model_name":"pair","model_version":"1","parameters":{"param0":"#;
    assert!(answer.text().starts_with(begin), "the order of the keys: {}", answer.text());
    // An empty id is none.
    let answer = fixture.post("/v2/models/pair/versions/1/infer", &pair(r#","id":"""#)).await;
    assert!(answer.ok().get("id").is_none());
}

#[tokio::test]
async fn outputs_are_those_asked_for_in_the_models_order() {
    let fixture = Fixture::new(&[]).await;
    for (outputs, names) in [
        (r#"[{"name":"OUTPUT1"}]"#, &["OUTPUT1"][..]),
        (r#"[{"name":"OUTPUT1"},{"name":"OUTPUT0"}]"#, &["OUTPUT0", "OUTPUT1"]),
        ("[]", &["OUTPUT0", "OUTPUT1"]),
    ] {
        let answer = fixture.infer("pair", &pair(&format!(r#","outputs":{outputs}"#))).await.ok();
        let got: Vec<_> =
            answer["outputs"].as_array().unwrap().iter().map(|o| o["name"].as_str().unwrap()).collect();
        assert_eq!(got, names);
    }
}

#[tokio::test]
async fn tensors_behind_the_json_in_and_out() {
    let fixture = Fixture::new(&[]).await;
    let inputs = [binary_input("INPUT0", "INT32", "[1,2]", 8), binary_input("INPUT1", "INT32", "[1,2]", 8)];
    let json = format!(r#"{{"inputs":[{}],"parameters":{{"binary_data_output":true}}}}"#, inputs.join(","));
    let tensors = [1, 2, 3, -4].map(i32::to_le_bytes).concat();
    let answer = fixture.infer_binary("pair", &json, &tensors).await;
    let (value, back) = answer.ok_binary();
    assert_eq!(back, tensors);
    assert_eq!(
        value["outputs"][1],
        json!({"name": "OUTPUT1", "datatype": "INT32", "shape": [1, 2], "parameters": {"binary_data_size": 8}})
    );
    // One as JSON, one behind it: what an output says itself goes before `binary_data_output`.
    let first = input("INPUT0", "INT32", "[1,2]", "[1,2]");
    let outputs = r#"[{"name":"OUTPUT0"},{"name":"OUTPUT1","parameters":{"binary_data":false}}]"#;
    let json = format!(
        r#"{{"inputs":[{first},{}],"outputs":{outputs},"parameters":{{"binary_data_output":true}}}}"#,
        inputs[1]
    );
    let answer = fixture.infer_binary("pair", &json, &tensors[8..]).await;
    let (value, back) = answer.ok_binary();
    assert_eq!(back, &tensors[..8]);
    assert_eq!(value["outputs"][1]["data"], json!([3, -4]));
}

#[tokio::test]
async fn a_tensor_is_not_copied_on_its_way() {
    let fixture = Fixture::new(&[]).await;
    let json = format!(
        r#"{{"inputs":[{}],"parameters":{{"binary_data_output":true}}}}"#,
        binary_input("INPUT0", "FP32", "[25000]", 100_000)
    );
    let body = bytes::Bytes::from([json.as_bytes(), &vec![7; 100_000]].concat());
    let request = hyper::Request::post("/v2/models/fp32/infer").header(LENGTH, json.len());
    let request = request.body(http_body_util::Full::new(body.clone())).unwrap();
    let mut response = fixture.front.respond(request).await;
    let mut pieces = Vec::new();
    while let Some(frame) = http_body_util::BodyExt::frame(response.body_mut()).await {
        pieces.push(frame.unwrap().into_data().unwrap());
    }
    let [_, tensor] = pieces.as_slice() else { panic!("JSON and a tensor") };
    assert_eq!(
        tensor.as_ptr(),
        body[json.len()..].as_ptr(),
        "the bytes of the request are those of the response"
    );
}

#[tokio::test]
async fn no_bytes_behind_the_json_make_it_plain_json() {
    let fixture = Fixture::new(&[]).await;
    let request = format!(
        r#"{{"inputs":[{}],"parameters":{{"binary_data_output":true}}}}"#,
        input("INPUT0", "FP32", "[0]", "[]")
    );
    let outputs = fixture.infer("fp32", &request).await.ok()["outputs"].clone();
    let expected =
        json!({"name": "OUTPUT0", "datatype": "FP32", "shape": [0], "parameters": {"binary_data_size": 0}});
    assert_eq!(outputs, json!([expected]));
    let request = format!(r#"{{"inputs":[{}]}}"#, binary_input("INPUT0", "FP32", "[0]", 0));
    let outputs = fixture.infer_binary("fp32", &request, b"").await.ok()["outputs"].clone();
    assert_eq!(outputs[0]["data"], json!([]));
}

#[tokio::test]
async fn raw_requests() {
    let fixture = Fixture::new(&[]).await;
    let zero = [(LENGTH, "0"), ("content-type", "application/octet-stream")];
    let floats = [1.0f32, 2.0, 3.0].map(f32::to_le_bytes).concat();
    let answer = fixture.send("POST", "/v2/models/fp32/infer", &zero, floats.clone()).await;
    let (value, back) = answer.ok_binary();
    assert_eq!((back, &value["outputs"][0]["shape"]), (&floats[..], &json!([3])));
    assert_eq!(value["parameters"], parameters());
    let answer = fixture.send("POST", "/v2/models/batch/infer", &zero, floats[..8].to_vec()).await;
    assert_eq!(answer.ok_binary().0["outputs"][0]["shape"], json!([1, 2]));
    let answer = fixture.send("POST", "/v2/models/one_text/infer", &zero, "a picture").await;
    assert_eq!(answer.ok_binary().1, b"\x09\0\0\0a picture");
    // No body at all is a raw request, too.
    assert_eq!(fixture.infer("fp32", "").await.ok()["outputs"][0]["shape"], json!([0]));
}

#[tokio::test]
async fn floats_that_are_no_numbers_go_in_and_out_as_bare_words() {
    let fixture = Fixture::new(&[]).await;
    let request =
        format!(r#"{{"inputs":[{}]}}"#, input("INPUT0", "FP32", "[4]", "[NaN,Infinity,-Infinity,0.1]"));
    let answer = fixture.infer("fp32", &request).await;
    assert_eq!(answer.status, 200);
    assert!(
        answer.text().ends_with(r#""data":[NaN,Infinity,-Infinity,0.10000000149011612]}]}"#),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn strings_keep_their_bytes() {
    let fixture = Fixture::new(&[]).await;
    let request = format!(r#"{{"inputs":[{}]}}"#, binary_input("INPUT0", "BYTES", "[2]", 15));
    let answer = fixture.infer_binary("bytes", &request, b"\x03\0\0\0abc\x04\0\0\0\xC3\xBC\0z").await;
    assert_eq!(answer.ok()["outputs"][0]["data"], json!(["abc", "ü\0z"]));
}

#[tokio::test]
async fn optional_inputs() {
    let fixture = Fixture::new(&[]).await;
    let outputs = fixture.infer("optional", r#"{"inputs":[]}"#).await.ok()["outputs"].clone();
    assert_eq!((&outputs[0]["data"], &outputs[1]["data"]), (&json!([0.0, 0.0]), &json!([0.0, 0.0])));
    let request = format!(r#"{{"inputs":[{}]}}"#, input("INPUT1", "FP32", "[2]", "[1,2]"));
    assert_eq!(fixture.infer("optional", &request).await.ok()["outputs"][1]["data"], json!([1.0, 2.0]));
}

#[tokio::test]
async fn classification() {
    let fixture = Fixture::new(&[]).await;
    let request = |parameters: &str| {
        let input = input("INPUT0", "FP32", "[2,2]", "[1,2.5,9,1]");
        format!(r#"{{"inputs":[{input}],"outputs":[{{"name":"OUTPUT0","parameters":{parameters}}}]}}"#)
    };
    let outputs = fixture.infer("batch", &request(r#"{"classification":1}"#)).await.ok()["outputs"].clone();
    let data = json!(["2.500000:1:dog", "9.000000:0:cat"]);
    assert_eq!(outputs, json!([{"name": "OUTPUT0", "datatype": "BYTES", "shape": [2, 1], "data": data}]));
    let answer = fixture.infer("batch", &request(r#"{"classification":9,"binary_data":true}"#)).await;
    let (value, back) = answer.ok_binary();
    assert_eq!((&value["outputs"][0]["shape"], back.len()), (&json!([2, 2]), 4 * (4 + 14)));
    let outputs = fixture.infer("batch", &request(r#"{"classification":0}"#)).await.ok()["outputs"].clone();
    assert_eq!(outputs[0]["data"], json!([1.0, 2.5, 9.0, 1.0]));
}

#[tokio::test]
async fn parameters_that_mean_something_are_accepted() {
    let fixture = Fixture::new(&[]).await;
    for parameters in [
        r#"{"a":1,"b":"x","c":true,"d":1.5}"#,
        r#"{"sequence_id":7,"sequence_start":true}"#,
        r#"{"priority":1,"timeout":1000000}"#,
    ] {
        fixture.infer("pair", &pair(&format!(r#","parameters":{parameters}"#))).await.ok();
    }
}
