//! gRPC streams: order, decoupled models, errors between responses.

use hippocamp_proto::inference::infer_parameter::ParameterChoice;
use hippocamp_proto::inference::model_infer_request::InferInputTensor;
use hippocamp_proto::inference::{
    InferParameter, ModelInferRequest, ModelInferResponse, ModelStreamInferResponse,
};
use hippocamp_testing::{Repository, TestServer, identity_config};
use tokio_stream::StreamExt;

use crate::requests::fp32;

const REPEAT: &str = "backend: \"repeat\" max_batch_size: 0 model_transaction_policy { decoupled: true }
    input { name: \"IN\" data_type: TYPE_INT32 dims: 1 }
    output { name: \"OUT\" data_type: TYPE_INT32 dims: 1 }";

async fn server() -> TestServer {
    let slow = "parameters { key: \"execute_delay_ms\" value { string_value: \"50\" } }";
    let repository = Repository::default()
        .with("fast", &identity_config(0, ""))
        .with("slow", &identity_config(0, slow))
        .with("repeat", REPEAT);
    TestServer::start(repository).await
}

fn repeat(id: &str, count: i32) -> ModelInferRequest {
    ModelInferRequest {
        model_name: "repeat".to_owned(),
        id: id.to_owned(),
        inputs: vec![InferInputTensor {
            name: "IN".to_owned(),
            datatype: "INT32".to_owned(),
            shape: vec![1],
            ..InferInputTensor::default()
        }],
        raw_input_contents: vec![count.to_le_bytes().to_vec().into()],
        ..ModelInferRequest::default()
    }
}

/// Sends all requests on one stream and reads it to its end.
async fn stream(server: &TestServer, requests: Vec<ModelInferRequest>) -> Vec<ModelStreamInferResponse> {
    let mut client = server.client().await;
    let replies = client.model_stream_infer(tokio_stream::iter(requests)).await.unwrap().into_inner();
    replies.map(Result::unwrap).collect().await
}

fn response(reply: &ModelStreamInferResponse) -> &ModelInferResponse {
    reply.infer_response.as_ref().unwrap()
}

fn is_final(reply: &ModelStreamInferResponse) -> bool {
    let flag = &response(reply).parameters["triton_final_response"];
    matches!(flag.parameter_choice, Some(ParameterChoice::BoolParam(true)))
}

#[tokio::test]
async fn models_that_answer_once_are_answered_in_order() {
    let server = server().await;
    let requests = vec![fp32("slow", "1", &[1], &[1.0]), fp32("fast", "2", &[1], &[2.0])];
    let replies = stream(&server, requests).await;
    let ids: Vec<_> = replies.iter().map(|r| response(r).id.as_str()).collect();
    assert_eq!(ids, ["1", "2"]);
    assert!(replies.iter().all(is_final));
}

#[tokio::test]
async fn a_failing_request_does_not_end_the_stream() {
    let server = server().await;
    let requests = vec![
        fp32("fast", "bad", &[2], &[1.0]),
        fp32("nope", "none", &[1], &[1.0]),
        fp32("fast", "good", &[1], &[1.0]),
    ];
    let replies = stream(&server, requests).await;
    let errors: Vec<_> = replies.iter().map(|r| r.error_message.as_str()).collect();
    assert!(errors[0].starts_with("[request id: bad] input byte size mismatch"), "{errors:?}");
    assert_eq!(errors[1..], ["Request for unknown model: 'nope' is not found", ""]);
    assert_eq!(response(&replies[0]).id, "bad");
    assert!(response(&replies[0]).parameters.is_empty());
}

#[tokio::test]
async fn a_decoupled_model_answers_as_often_as_it_likes() {
    let server = server().await;
    let replies = stream(&server, vec![repeat("d", 3), repeat("z", 0)]).await;
    let out: Vec<_> = replies.iter().map(|r| response(r).raw_output_contents[0][0]).collect();
    assert_eq!(out, [0, 1, 2]);
    assert!(!replies.iter().any(is_final));
}

#[tokio::test]
async fn the_end_of_a_decoupled_model_is_told_to_who_asks() {
    let server = server().await;
    let mut request = repeat("d", 2);
    let flag = InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(true)) };
    request.parameters.insert("triton_enable_empty_final_response".to_owned(), flag);
    let replies = stream(&server, vec![request.clone()]).await;
    assert_eq!(replies.iter().map(is_final).collect::<Vec<_>>(), [false, false, true]);
    assert!(response(&replies[2]).outputs.is_empty());
    // The end has the version of the request, the responses that of the model.
    let versions = |replies: &[ModelStreamInferResponse]| -> Vec<_> {
        replies.iter().map(|reply| response(reply).model_version.clone()).collect()
    };
    assert_eq!(versions(&replies), ["1", "1", ""]);
    request.model_version = "1".to_owned();
    assert_eq!(versions(&stream(&server, vec![request]).await), ["1"; 3]);
}

#[tokio::test]
async fn a_unary_call_refuses_a_decoupled_model() {
    let server = server().await;
    let error = server.client().await.model_infer(repeat("", 1)).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::Unimplemented);
    assert_eq!(error.message(), "ModelInfer RPC doesn't support models with decoupled transaction policy");
}
