//! Raw tensors over gRPC. The client reuses its encoded message and discards what it reads.

use std::future::poll_fn;
use std::pin::Pin;

use bytes::Bytes;
use hippocamp_proto::inference::ModelInferRequest;
use hippocamp_proto::inference::model_infer_request::InferInputTensor;
use prost::Message;
use tonic::body::Body;
use tonic::codegen::http::Request;
use tonic::codegen::{Body as _, Service};
use tonic::transport::Channel;

use crate::allocator::{self, turn};
use crate::{PIECE, SIZE, content, server};

/// The encoded message, preceded by gRPC's header.
fn message(model: &str, content: Vec<u8>) -> Bytes {
    let request = ModelInferRequest {
        model_name: model.to_owned(),
        inputs: vec![InferInputTensor {
            name: "INPUT0".to_owned(),
            datatype: "FP32".to_owned(),
            shape: vec![SIZE as i64 / 4],
            ..InferInputTensor::default()
        }],
        raw_input_contents: vec![content.into()],
        ..ModelInferRequest::default()
    };
    let mut message = vec![0];
    message.extend_from_slice(&(request.encoded_len() as u32).to_be_bytes());
    request.encode(&mut message).unwrap();
    message.into()
}

/// A request body in one piece.
struct Whole(Option<Bytes>);

impl tonic::codegen::Body for Whole {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, tonic::Status>>> {
        std::task::Poll::Ready(self.0.take().map(|message| Ok(http_body::Frame::data(message))))
    }
}

/// Makes a call and passes each piece of the response to `read`. Returns the gRPC status.
async fn call(channel: &mut Channel, message: &Bytes, mut read: impl FnMut(&[u8])) -> String {
    poll_fn(|cx| channel.poll_ready(cx)).await.unwrap();
    let request = Request::post("http://test/inference.GRPCInferenceService/ModelInfer")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(Whole(Some(message.clone()))))
        .unwrap();
    let response = channel.call(request).await.unwrap();
    let mut body = response.into_body();
    let mut status = String::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        match frame.unwrap().into_data() {
            Ok(data) => read(&data),
            Err(other) => status.push_str(other.trailers_ref().unwrap()["grpc-status"].to_str().unwrap()),
        }
    }
    status
}

#[tokio::test]
async fn a_raw_tensor_is_never_in_one_block() {
    let _turn = turn().await;
    let server = server().await;
    let content = content();
    for model in ["m", "e"] {
        let message = message(model, content.clone());
        let mut channel =
            Channel::from_shared(format!("http://{}", server.grpc)).unwrap().connect().await.unwrap();
        let mut reply = Vec::new();
        assert_eq!(call(&mut channel, &message, |data| reply.extend_from_slice(data)).await, "0");
        assert!(reply.ends_with(&content), "identity answers with what it got");
        allocator::begin(usize::MAX);
        for _ in 0..3 {
            let mut size = 0;
            assert_eq!(call(&mut channel, &message, |data| size += data.len()).await, "0");
            assert_eq!(size, reply.len());
        }
        let largest = allocator::largest();
        assert!(largest <= PIECE, "{model}: a block of {largest} bytes was allocated");
    }
}
