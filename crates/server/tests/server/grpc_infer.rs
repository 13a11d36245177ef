//! Unary inference over gRPC.

use hippocamp_proto::inference::InferTensorContents;
use hippocamp_testing::{Repository, TestServer, identity_config};
use tonic::Code;
use tonic::codec::CompressionEncoding;

use crate::requests::{fp32, raw, values};

async fn server() -> TestServer {
    let repository =
        Repository::default().with("m", &identity_config(0, "")).with("b", &identity_config(4, ""));
    TestServer::start(repository).await
}

#[tokio::test]
async fn answers_what_was_sent() {
    let server = server().await;
    let reply = server.client().await.model_infer(fp32("m", "7", &[3], &[1.0, -2.5, 1e20])).await;
    let reply = reply.unwrap().into_inner();
    assert_eq!((reply.model_name.as_str(), reply.model_version.as_str(), reply.id.as_str()), ("m", "1", "7"));
    assert_eq!(reply.outputs[0].shape, [3]);
    assert_eq!(values(&reply), [1.0, -2.5, 1e20]);
}

#[tokio::test]
async fn a_tensor_of_many_megabytes_comes_back_whole() {
    let server = server().await;
    let sent: Vec<f32> = (0..4 << 20).map(|i| i as f32).collect();
    let mut client = server.client().await;
    let reply = client.model_infer(fp32("m", "", &[4 << 20], &sent)).await.unwrap().into_inner();
    assert!(values(&reply) == sent, "16 MiB should come back as they went");
}

#[tokio::test]
async fn typed_contents_and_compressed_messages_are_taken() {
    let server = server().await;
    let mut request = fp32("m", "", &[2], &[]);
    request.raw_input_contents.clear();
    let contents = InferTensorContents { fp32_contents: vec![0.5, 1.5], ..InferTensorContents::default() };
    request.inputs[0].contents = Some(contents);
    for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Deflate] {
        let mut client = server.client().await.send_compressed(encoding);
        let reply = client.model_infer(request.clone()).await.unwrap().into_inner();
        assert_eq!(values(&reply), [0.5, 1.5]);
    }
}

#[tokio::test]
async fn hostile_shapes_are_refused_and_do_no_harm() {
    let server = server().await;
    let mut client = server.client().await;
    let shapes: [&[i64]; 7] =
        [&[i64::MAX], &[i64::MIN], &[-1], &[(1 << 62) + 1], &[1 << 62], &[2, 2], &[i64::MAX, i64::MAX]];
    for shape in shapes {
        for model in ["m", "b"] {
            let error = client.model_infer(fp32(model, "x", shape, &[1.0])).await.unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument, "{model} {shape:?}: {error}");
            assert!(error.message().contains(&format!("'{model}'")), "names the model: {error}");
        }
    }
    let reply = client.model_infer(fp32("m", "", &[1], &[2.0])).await.unwrap().into_inner();
    assert_eq!(values(&reply), [2.0]);
}

#[tokio::test]
async fn sizes_that_lie_are_refused() {
    let server = server().await;
    let mut client = server.client().await;
    for bytes in [0, 3, 7, 9, 4096] {
        let request = raw("m", "", "FP32", &[2], vec![0; bytes]);
        let error = client.model_infer(request).await.unwrap_err();
        assert_eq!(
            error.message(),
            format!(
                "[request id: <id_unknown>] input byte size mismatch for input 'INPUT0' for model 'm'. Expected 8, got \
                 {bytes}"
            )
        );
    }
}

#[tokio::test]
async fn duplicates_and_unknown_names_are_reported() {
    let server = server().await;
    let mut client = server.client().await;
    let mut twice = fp32("m", "q", &[1], &[1.0]);
    twice.inputs.push(twice.inputs[0].clone());
    twice.raw_input_contents.push(twice.raw_input_contents[0].clone());
    let error = client.model_infer(twice).await.unwrap_err();
    assert_eq!(error.message(), "[request id: q] input 'INPUT0' already exists in request");
    let error = client.model_infer(fp32("nope", "", &[1], &[1.0])).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    assert_eq!(error.message(), "Request for unknown model: 'nope' is not found");
    let mut version = fp32("m", "", &[1], &[1.0]);
    version.model_version = "9".to_owned();
    let error = client.model_infer(version).await.unwrap_err();
    assert_eq!(error.message(), "Request for unknown model: 'm' version 9 is not found");
}

#[tokio::test]
async fn a_batch_is_answered_by_rows() {
    let server = server().await;
    let mut client = server.client().await;
    let reply = client.model_infer(fp32("b", "", &[2, 2], &[1.0, 2.0, 3.0, 4.0])).await.unwrap().into_inner();
    assert_eq!(reply.outputs[0].shape, [2, 2]);
    assert_eq!(values(&reply), [1.0, 2.0, 3.0, 4.0]);
    let error = client.model_infer(fp32("b", "", &[5, 1], &[0.0; 5])).await.unwrap_err();
    assert_eq!(
        error.message(),
        "[request id: <id_unknown>] inference request batch-size must be <= 4 for 'b'"
    );
}
