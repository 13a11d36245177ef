//! Inference that is refused, with the words that clients know.

use super::{Fixture, LENGTH, binary_input, input, pair};

#[tokio::test]
async fn what_the_head_tells() {
    let fixture = Fixture::new(&[]).await;
    fixture.infer("nope", "{}").await.refused(404, "Request for unknown model: 'nope' is not found");
    fixture
        .post("/v2/models/pair/versions/9/infer", &pair(""))
        .await
        .refused(404, "Request for unknown model: 'pair' version 9 is not found");
    let decoupled = "HTTP end point doesn't support models with decoupled transaction policy";
    fixture.infer("many", "{}").await.refused(501, decoupled);
    let headers = [("content-encoding", "br")];
    let answer = fixture.send("POST", "/v2/models/pair/infer", &headers, pair("")).await;
    answer.refused(501, "Unsupported compression type");
    assert_eq!(answer.headers["accept-encoding"], "gzip, deflate");
    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        let answer = fixture.send(method, "/v2/models/pair/infer", &[], "").await;
        answer.refused(405, "Method Not Allowed");
        assert_eq!(answer.headers["allow"], "POST");
    }
}

#[tokio::test]
async fn raw_requests_that_cannot_be_deduced() {
    let fixture = Fixture::new(&[]).await;
    let text = "[request id: <id_unknown>] Raw request must only have 1 input (found 1) to be deduced but got 2 inputs \
                in 'pair' model configuration";
    fixture.infer("pair", "").await.refused(400, text);
    let answer = fixture.send("POST", "/v2/models/pair/infer", &[(LENGTH, "0")], vec![0; 16]).await;
    answer.refused(400, text);
}

#[tokio::test]
async fn lengths_that_lie() {
    let fixture = Fixture::new(&[]).await;
    let inputs = [binary_input("INPUT0", "INT32", "[1,2]", 8), binary_input("INPUT1", "INT32", "[1,2]", 8)];
    let json = format!(r#"{{"inputs":[{}]}}"#, inputs.join(","));
    let expecting = |input, count| {
        format!("unexpected size for input '{input}', expecting {count} additional bytes for model 'pair'")
    };
    fixture.infer_binary("pair", &json, &[0; 8]).await.refused(400, &expecting("INPUT1", 8));
    fixture.infer_binary("pair", &json, &[0; 3]).await.refused(400, &expecting("INPUT0", 5));
    let surplus = "unexpected additional input data for model 'pair'";
    fixture.infer_binary("pair", &json, &[0; 20]).await.refused(400, surplus);
    // Without the header all of it is JSON, which ends at the first NUL byte.
    let all = format!("{json}{}", "\0".repeat(16));
    fixture.infer("pair", &all).await.refused(400, &expecting("INPUT0", 8));
    for length in ["-1", "100000", "99999999999999999999"] {
        let answer = fixture.send("POST", "/v2/models/pair/infer", &[(LENGTH, length)], all.clone()).await;
        let text = format!("inference header size should be in range (0, {}), got: {length}", all.len());
        answer.refused(400, &text);
    }
    let answer = fixture.send("POST", "/v2/models/pair/infer", &[(LENGTH, "10")], all).await;
    answer.refused(400, "failed to parse the request JSON buffer: Invalid value. at 10");
    let huge = format!(
        r#"{{"inputs":[{}]}}"#,
        r#"{"name":"INPUT0","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":18446744073709551615}}"#
    );
    let text = "unexpected size for input 'INPUT0', expecting 18446744073709551611 additional bytes for model 'fp32'";
    fixture.infer_binary("fp32", &huge, &[0; 4]).await.refused(400, text);
}

#[tokio::test]
async fn a_length_that_is_no_number_is_not_taken_for_none() {
    let fixture = Fixture::new(&[]).await;
    let json = format!(r#"{{"inputs":[{}]}} "#, input("INPUT0", "FP32", "[1]", "[1]"));
    for length in ["abc", "0x58", ""] {
        let answer = fixture.send("POST", "/v2/models/fp32/infer", &[(LENGTH, length)], json.clone()).await;
        answer.refused(
            400,
            &format!(
                "the header Inference-Header-Content-Length is expected to be the size of the request's JSON in bytes, \
                 one decimal number, got: {length}"
            ),
        );
    }
}

#[tokio::test]
async fn a_batch_of_nothing_is_refused_for_every_type() {
    let text = r#"backend: "identity" max_batch_size: 4 input { name: "INPUT0" data_type: TYPE_STRING dims: -1 }
        output { name: "OUTPUT0" data_type: TYPE_STRING dims: -1 }"#;
    let fixture = Fixture::new(&[("text", text)]).await;
    assert_eq!(fixture.post("/v2/repository/models/text/load", "").await.status, 200);
    for (model, data_type) in [("batch", "FP32"), ("text", "BYTES")] {
        for shape in ["[0,2]", "[0,0]"] {
            let request = format!(r#"{{"inputs":[{}]}}"#, input("INPUT0", data_type, shape, "[]"));
            let text = format!(
                "[request id: <id_unknown>] inference request batch-size must be >= 1 for '{model}', got 0"
            );
            fixture.infer(model, &request).await.refused(400, &text);
        }
    }
    let request = format!(r#"{{"inputs":[{}]}}"#, input("INPUT0", "BYTES", "[1,0]", "[]"));
    fixture.infer("text", &request).await.ok();
}

#[tokio::test]
async fn names_and_classes_that_are_too_many() {
    let fixture = Fixture::new(&[]).await;
    let twice = r#","outputs":[{"name":"OUTPUT0"},{"name":"OUTPUT1"},{"name":"OUTPUT0"}]"#;
    let text = "[request id: <id_unknown>] output 'OUTPUT0' already exists in request";
    fixture.infer("pair", &pair(twice)).await.refused(400, text);
    let classes = |count: u64| {
        format!(r#","outputs":[{{"name":"OUTPUT0","parameters":{{"classification":{count}}}}}]"#)
    };
    fixture.infer("pair", &pair(&classes(4_294_967_295))).await.ok();
    let text =
        "the classification of output 'OUTPUT0' is expected to be at most 4294967295 classes, got 4294967296";
    fixture.infer("pair", &pair(&classes(4_294_967_296))).await.refused(400, text);
    let inputs: Vec<_> = (0..100).map(|i| input(&format!("I{i}"), "INT32", "[1]", "[1]")).collect();
    let answer = fixture.infer("pair", &format!(r#"{{"inputs":[{}]}}"#, inputs.join(","))).await;
    assert!(
        answer.text().contains("'I63',... 36 more], but missing required input(s) ['INPUT0','INPUT1']"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn inputs_of_a_wide_model_are_found_in_any_order() {
    const INPUTS: usize = 40;
    let tensors = |what: &str, name: &str| {
        let tensor = |i| format!(r#"{what} {{ name: "{name}{i}" data_type: TYPE_INT32 dims: 1 }} "#);
        (0..INPUTS).map(tensor).collect::<String>()
    };
    let config =
        format!(r#"backend: "identity" {}{}"#, tensors("input", "INPUT"), tensors("output", "OUTPUT"));
    let fixture = Fixture::new(&[("wide", &config)]).await;
    assert_eq!(fixture.post("/v2/repository/models/wide/load", "").await.status, 200);
    let request = |names: &[usize]| {
        let inputs: Vec<_> =
            names.iter().map(|i| input(&format!("INPUT{i}"), "INT32", "[1]", &format!("[{i}]"))).collect();
        format!(
            r#"{{"inputs":[{}],"outputs":[{{"name":"OUTPUT39"}},{{"name":"OUTPUT7"}}]}}"#,
            inputs.join(",")
        )
    };
    let mut names: Vec<usize> = (0..INPUTS).rev().collect();
    let outputs = fixture.infer("wide", &request(&names)).await.ok()["outputs"].clone();
    assert_eq!((&outputs[0]["data"][0], &outputs[1]["data"][0]), (&7.into(), &39.into()));
    names[0] = 7;
    let text = "[request id: <id_unknown>] input 'INPUT7' already exists in request";
    fixture.infer("wide", &request(&names)).await.refused(400, text);
}

#[tokio::test]
async fn what_the_server_finds_wrong() {
    let fixture = Fixture::new(&[]).await;
    let request = |inputs: &[String]| format!(r#"{{"inputs":[{}]}}"#, inputs.join(","));
    let float =
        |data_type: &str, shape: &str, data: &str| request(&[input("INPUT0", data_type, shape, data)]);
    let id = "[request id: <id_unknown>]";
    let cases = [
        (
            "pair",
            request(&[]),
            format!(
                "{id} expected 2 inputs but got 0 inputs for model 'pair'. Got input(s) [], but missing required input(s) \
             ['INPUT0','INPUT1']. Please provide all required input(s)."
            ),
        ),
        (
            "fp32",
            float("INT32", "[1]", "[1]"),
            format!("{id} inference input 'INPUT0' data-type is 'INT32', but model 'fp32' expects 'FP32'"),
        ),
        (
            "fp32",
            float("FP32", "[1,2]", "[1,2]"),
            format!("{id} unexpected shape for input 'INPUT0' for model 'fp32'. Expected [-1], got [1,2]."),
        ),
        (
            "fp32",
            float("FP32", "[]", "[1]"),
            format!("{id} unexpected shape for input 'INPUT0' for model 'fp32'. Expected [-1], got []."),
        ),
        (
            "fp32",
            float("FP32", "[4611686018427387904,4]", "[1]"),
            format!(
                "{id} unexpected shape for input 'INPUT0' for model 'fp32'. Expected [-1], got [4611686018427387904,4]."
            ),
        ),
        (
            "bytes",
            request(&[input("INPUT0", "BYTES", "[3]", "[\"a\"]")]),
            format!("{id} expected 3 string elements for inference input 'INPUT0' for model 'bytes', got 1"),
        ),
        (
            "fp32",
            float("FP32", "[1]", "[1]").replace("]}]", "]}],\"outputs\":[{\"name\":\"NOPE\"}]"),
            "unexpected inference output 'NOPE' for model 'fp32'".to_owned(),
        ),
        ("fails", request(&[input("IN", "INT32", "[1]", "[1]")]), "boom from the model".to_owned()),
    ];
    for (model, request, text) in cases {
        fixture.infer(model, &request).await.refused(400, &text);
    }
    let with_id = r#"{"id":"x7","inputs":[]}"#;
    assert!(fixture.infer("pair", with_id).await.text().contains("[request id: x7] expected 2 inputs"));
}

#[tokio::test]
async fn half_floats_and_classes_that_cannot_be_written() {
    let fixture = Fixture::new(&[]).await;
    let half = format!(r#"{{"inputs":[{}]}}"#, binary_input("INPUT0", "FP16", "[2]", 4));
    let text = "sending FP16 data via JSON is not supported. Please use the binary data format for output";
    fixture.infer_binary("fp16", &half, b"\0\x3C\0\x40").await.refused(400, text);
    let text =
        "receiving FP16 data via JSON is not supported. Please use the binary data format for input INPUT0";
    let json = format!(r#"{{"inputs":[{}]}}"#, input("INPUT0", "FP16", "[2]", "[1,2]"));
    fixture.infer("fp16", &json).await.refused(400, text);
    let classes = format!(
        r#"{{"inputs":[{}],"outputs":[{{"name":"OUTPUT0","parameters":{{"classification":1}}}}]}}"#,
        input("INPUT0", "BYTES", "[1]", "[\"a\"]")
    );
    let text = "class result not available for output due to unsupported type 'BYTES'";
    fixture.infer("bytes", &classes).await.refused(400, text);
}

#[tokio::test]
async fn strings_that_are_no_text_are_not_written_as_json() {
    let fixture = Fixture::new(&[]).await;
    let request =
        |more: &str| format!(r#"{{"inputs":[{}]{more}}}"#, binary_input("INPUT0", "BYTES", "[2]", 15));
    let bytes = b"\x03\0\0\0abc\x04\0\0\0\xFF\xFE\0z";
    fixture.infer_binary("bytes", &request(""), bytes).await.refused(
        400,
        "output 'OUTPUT0' has an element that is not valid UTF-8, which JSON can not hold. Please infer with the binary \
         data format: \"binary_data\": true in the parameters of the output, or \"binary_data_output\": true in those of the \
         request",
    );
    let binary = request(r#","parameters":{"binary_data_output":true}"#);
    assert_eq!(fixture.infer_binary("bytes", &binary, bytes).await.ok_binary().1, bytes);
    for action in ["generate", "generate_stream"] {
        let body = [&b"{\"INPUT0\":\""[..], b"\xFF\"}"].concat();
        let answer = fixture.send("POST", &format!("/v2/models/bytes/{action}"), &[], body).await;
        assert_eq!(answer.status, 400);
        assert!(
            answer.text().contains("output 'OUTPUT0' has an element that is not valid UTF-8"),
            "{}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn shared_memory_that_nobody_registered() {
    let fixture = Fixture::new(&[]).await;
    let input = r#"{"name":"INPUT0","shape":[1],"datatype":"FP32","parameters":{"shared_memory_region":"q","shared_memory_byte_size":4}}"#;
    let text = "Unable to find shared memory region: 'q'";
    fixture.infer("fp32", &format!(r#"{{"inputs":[{input}]}}"#)).await.refused(404, text);
    let outputs = r#","outputs":[{"name":"OUTPUT0","parameters":{"shared_memory_region":"q"}}]"#;
    fixture.infer("pair", &pair(outputs)).await.refused(404, text);
}

#[tokio::test]
async fn a_program_without_settings_of_its_log_says_so() {
    let fixture = Fixture::new(&[]).await;
    let answer = fixture.get("/v2/logging").await;
    answer.refused(501, "the logging extension is not supported by this server");
}
