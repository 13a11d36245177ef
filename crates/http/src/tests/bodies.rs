//! Compressed bodies and large ones.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::json;

use super::{Fixture, LENGTH, binary_input, input, pair};
use crate::{HttpFront, HttpSettings, ResponseCompression};

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zlib(content: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn compressed_requests() {
    let fixture = Fixture::new(&[]).await;
    let plain = fixture.infer("pair", &pair("")).await.ok();
    for (coding, body) in [("gzip", gzip(pair("").as_bytes())), ("deflate", zlib(pair("").as_bytes()))] {
        let answer =
            fixture.send("POST", "/v2/models/pair/infer", &[("content-encoding", coding)], body).await;
        assert_eq!(answer.ok(), plain);
    }
    // The length of the JSON counts what it is after decompression.
    let json = format!(r#"{{"inputs":[{}]}}"#, binary_input("INPUT0", "FP32", "[2]", 8));
    let body = gzip(&[json.as_bytes(), &[0; 8]].concat());
    let headers = [("content-encoding", "gzip"), (LENGTH, &json.len().to_string())];
    let answer = fixture.send("POST", "/v2/models/fp32/infer", &headers, body).await;
    assert_eq!(answer.ok()["outputs"][0]["data"], json!([0.0, 0.0]));
}

#[tokio::test]
async fn broken_and_bloated_ones() {
    let fixture = Fixture::new(&[]).await;
    let headers = [("content-encoding", "gzip")];
    let answer = fixture.send("POST", "/v2/models/pair/infer", &headers, "notgzip").await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("the body of the request is no valid gzip"), "{}", answer.text());
    let bomb = gzip(&vec![b' '; (64 << 20) + 1]);
    let answer = fixture.send("POST", "/v2/models/pair/infer", &headers, bomb).await;
    answer.refused(
        400,
        "Decompressed data size exceeds the maximum allowed value of 67108864 bytes. Use --http-max-input-size to \
         increase the limit.",
    );
}

#[tokio::test]
async fn compressed_responses() {
    let fixture = Fixture::new(&[]).await;
    let plain = fixture.infer("pair", &pair("")).await;
    let mut unpacked = Vec::new();
    let answer =
        fixture.send("POST", "/v2/models/pair/infer", &[("accept-encoding", "gzip")], pair("")).await;
    assert_eq!(answer.headers["content-encoding"], "gzip");
    GzDecoder::new(&answer.body[..]).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    // With tensors behind the JSON, whose length counts what it is before compression.
    let binary = pair(r#","parameters":{"binary_data_output":true}"#);
    let plain = fixture.infer("pair", &binary).await;
    let answer =
        fixture.send("POST", "/v2/models/pair/infer", &[("accept-encoding", "deflate")], binary).await;
    assert_eq!(answer.headers["content-encoding"], "deflate");
    assert_eq!(answer.headers[LENGTH], plain.headers[LENGTH]);
    unpacked.clear();
    ZlibDecoder::new(&answer.body[..]).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    // Errors stay as they are.
    let answer = fixture.send("POST", "/v2/models/pair/infer", &[("accept-encoding", "gzip")], "x").await;
    assert_eq!(answer.status, 400);
    assert!(!answer.headers.contains_key("content-encoding"));
}

#[tokio::test]
async fn a_librarys_list_of_codings_leaves_tensors_as_they_are() {
    let fixture = Fixture::new(&[]).await;
    let with = |compression| HttpSettings { response_compression: compression, ..HttpSettings::default() };
    let binary = pair(r#","parameters":{"binary_data_output":true}"#);
    let list = [("accept-encoding", "gzip, deflate, br")];
    for (compression, of_json, of_tensors) in [
        (ResponseCompression::Auto, Some("gzip"), None),
        (ResponseCompression::Always, Some("gzip"), Some("gzip")),
        (ResponseCompression::Never, None, None),
    ] {
        let front = HttpFront::new(std::sync::Arc::clone(&fixture.front.server), with(compression));
        let fixture =
            Fixture { front, gate: fixture.gate.clone(), _repository: tempfile::TempDir::new().unwrap() };
        for (body, coding) in [(pair(""), of_json), (binary.clone(), of_tensors)] {
            let answer = fixture.send("POST", "/v2/models/pair/infer", &list, body).await;
            assert_eq!(answer.status, 200);
            let got = answer.headers.get("content-encoding").map(|value| value.to_str().unwrap());
            assert_eq!(got, coding, "{compression:?}");
        }
    }
}

#[tokio::test]
async fn large_json_goes_through_another_thread_and_comes_back_the_same() {
    let fixture = Fixture::new(&[]).await;
    let values: Vec<String> = (0..100_000).map(|i| format!("{i}.5")).collect();
    let body = format!(
        r#"{{"inputs":[{}]}}"#,
        input("INPUT0", "FP32", "[100000]", &format!("[{}]", values.join(",")))
    );
    let answer = fixture.infer("fp32", &body).await.ok();
    let back = answer["outputs"][0]["data"].as_array().unwrap();
    assert!(back.iter().enumerate().all(|(i, value)| value.as_f64() == Some(i as f64 + 0.5)));
    assert_eq!(back.len(), 100_000);
}

#[tokio::test]
async fn the_limit_is_for_json_and_not_for_tensors_behind_it() {
    let fixture = Fixture::new(&[]).await;
    let settings = HttpSettings { max_input_size: 200, ..HttpSettings::default() };
    let front = HttpFront::new(std::sync::Arc::clone(&fixture.front.server), settings);
    let fixture = Fixture { front, ..fixture };
    let json = format!(
        r#"{{"inputs":[{}],"outputs":[{{"name":"OUTPUT0","parameters":{{"binary_data":true}}}}]}}"#,
        binary_input("INPUT0", "FP32", "[250]", 1000)
    );
    assert_eq!(fixture.infer_binary("fp32", &json, &[0; 1000]).await.ok_binary().1.len(), 1000);
    let json_size = |size: usize| {
        format!(
            "request JSON size of {size} bytes exceeds the maximum allowed input size of 200 bytes. Use \
             --http-max-input-size to increase the limit."
        )
    };
    let long = format!("{json}{}", " ".repeat(200));
    fixture.infer("fp32", &long).await.refused(400, &json_size(long.len()));
    fixture.infer_binary("fp32", &long, &[0; 1000]).await.refused(400, &json_size(long.len()));
    let answer =
        fixture.send("POST", "/v2/models/fp32/infer", &[(LENGTH, "0")], Bytes::from(vec![0; 204])).await;
    let raw = "Raw input has a byte_size (204 bytes) that exceeds the maximum allowed value of 200 bytes. Use \
               --http-max-input-size to increase the limit.";
    answer.refused(400, raw);
    let answer = fixture.post("/v2/repository/index", &" ".repeat(201)).await;
    answer.refused(400, &json_size(201));
}
