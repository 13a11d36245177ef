//! Runs the command against a server that takes JSON alone and names no inputs, as `mlserver` 1.7.1 and `kserve` 0.21.0 do.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::sync::{Arc, Mutex};

use clap::Parser;
use hippocamp_client::{InferArgs, infer};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What `kserve` says of a model, and `mlserver` of what it can do.
const MODEL: &str = r#"{"name":"m","versions":null,"platform":"","inputs":[],"outputs":[]}"#;
const SERVER: &str = r#"{"name":"mlserver","version":"1.7.1","extensions":[]}"#;
const ANSWER: &str = r#"{"model_name":"m","model_version":null,"id":"1","parameters":null,"outputs":[
    {"name":"y","shape":[1,2],"datatype":"FP32","parameters":{"content_type":"np"},"data":[[2.0,4.5]]},
    {"name":"u","shape":[2,1],"datatype":"BYTES","parameters":null,"data":["a","ü"]}]}"#;
const REFUSAL: &str = r#"{"detail":[{"loc":["body"],"msg":"Input should be a valid dictionary"}]}"#;

/// A server, and the inputs of the requests that it got.
async fn server(status: &'static str, answer: &'static str) -> (String, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("--url=http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, status, answer, Arc::clone(&seen)));
        }
    });
    (url, asked)
}

async fn serve(stream: TcpStream, status: &str, answer: &str, asked: Arc<Mutex<Vec<Value>>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end().to_ascii_lowercase();
            assert!(!line.starts_with("inference-header-content-length"), "binary tensors were sent");
            match line.strip_prefix("content-length:") {
                Some(value) => length = value.trim().parse().unwrap(),
                None if line.is_empty() => break,
                None if first.is_empty() => first = line,
                None => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let (status, answer) = match first.split(' ').nth(1).unwrap() {
            "/v2" => ("200 OK", SERVER),
            "/v2/models/m" => ("200 OK", MODEL),
            "/v2/models/m/infer" => {
                asked.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
                (status, answer)
            }
            other => panic!("{other} was asked for"),
        };
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", answer.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

async fn ask(url: &str, args: &[&str]) -> Result<String, String> {
    let args = [&["infer", "m", url][..], args].concat();
    infer(&InferArgs::parse_from(args)).await.map_err(|failure| failure.to_string())
}

#[tokio::test]
async fn tensors_are_sent_and_read_as_json() {
    let (url, asked) = server("200 OK", ANSWER).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("z.npy");
    let header = b"\x93NUMPY\x01\x00\x3c\x00{'descr': '|u1', 'fortran_order': False, 'shape': (1, 3), }\n";
    std::fs::write(&file, [&header[..], &[1, 2, 255]].concat()).unwrap();
    let z = format!("z=@{}", file.display());
    let args =
        ["-i", "x=1,2", "-i", "w=1,2,0.5,4", "-i", "t=hello, world", "-i", &z, "--shape", "w=2,2", "-o", "y"];
    let answer = ask(&url, &args).await.unwrap();
    assert_eq!(answer, "model m, version \n\ny FP32 [1,2]\n  2  4.5\n\nu BYTES [2,1]\n  a\n  ü\n");
    let asked = asked.lock().unwrap();
    let want = serde_json::json!([{
        "inputs": [
            {"name": "x", "datatype": "INT64", "shape": [1, 2], "data": [1, 2]},
            {"name": "w", "datatype": "FP32", "shape": [2, 2], "data": [1.0, 2.0, 0.5, 4.0]},
            {"name": "t", "datatype": "BYTES", "shape": [1, 1], "data": ["hello, world"]},
            {"name": "z", "datatype": "UINT8", "shape": [1, 3], "data": [1, 2, 255]},
        ],
        "outputs": [{"name": "y"}],
        "parameters": {},
    }]);
    assert_eq!(numbers_as_floats(Value::Array(asked.clone())), numbers_as_floats(want));
}

/// 1 and 1.0 are the same number in JSON, but not for `Value`.
fn numbers_as_floats(value: Value) -> Value {
    match value {
        Value::Array(values) => values.into_iter().map(numbers_as_floats).collect(),
        Value::Object(members) => members.into_iter().map(|(k, v)| (k, numbers_as_floats(v))).collect(),
        Value::Number(number) => number.as_f64().into(),
        other => other,
    }
}

#[tokio::test]
async fn refusals_of_such_servers_are_passed_on() {
    let (url, _) = server("422 Unprocessable Entity", REFUSAL).await;
    let failure = ask(&url, &["-i", "x=1"]).await.unwrap_err();
    assert!(
        failure.contains("422 Unprocessable Entity")
            && failure.contains("Input should be a valid dictionary"),
        "{failure}"
    );
    let failure = ask(&url, &["-i", "@picture.jpg"]).await.unwrap_err();
    assert_eq!(
        failure,
        "the server does not name the model's inputs: '@picture.jpg' was expected to be NAME=VALUE"
    );
}

#[tokio::test]
async fn what_is_no_answer_of_the_protocol_is_none() {
    for answer in ["<html>Sign in</html>", "", "[]", "3"] {
        let (url, _) = server("200 OK", answer).await;
        let args = InferArgs::parse_from(["hippocamp infer", "m", &url, "--input", "x=1,2"]);
        let failure = infer(&args).await.unwrap_err().to_string();
        assert!(failure.contains("does it speak KServe v2?"), "{answer}: {failure}");
    }
}
