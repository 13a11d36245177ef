//! Decoupled models over the network: any number of responses, errors among them, and their statistics.

use hippocamp_proto::inference::infer_parameter::ParameterChoice;
use hippocamp_proto::inference::model_infer_request::InferInputTensor;
use hippocamp_proto::inference::{
    InferParameter, InferResponseStatistics, ModelInferRequest, ModelStatisticsRequest,
    ModelStreamInferResponse,
};
use hippocamp_testing::{Repository, TestServer};
use tokio_stream::StreamExt;

const SQUARE: &str = "backend: \"square\" model_transaction_policy { decoupled: true }
    input { name: \"IN\" data_type: TYPE_INT32 dims: 1 }
    output { name: \"OUT\" data_type: TYPE_INT32 dims: 1 }";

const MOCK: &str = "backend: \"mock_llm\" model_transaction_policy { decoupled: true }
    input { name: \"PROMPT\" data_type: TYPE_STRING dims: 1 }
    input { name: \"STREAM\" data_type: TYPE_BOOL dims: 1 optional: true }
    output { name: \"TEXT\" data_type: TYPE_STRING dims: 1 }";

fn parameter(key: &str, value: u64) -> String {
    format!(" parameters {{ key: \"{key}\" value {{ string_value: \"{value}\" }} }}")
}

async fn server() -> TestServer {
    let failing = parameter("CUSTOM_FAIL_COUNT", 1) + &parameter("CUSTOM_EMPTY_COUNT", 1);
    let repository = Repository::default()
        .with("square", SQUARE)
        .with("failing", &format!("{SQUARE}{failing}"))
        .with("slow", &format!("{SQUARE}{}", parameter("CUSTOM_INFER_DELAY_NS", 1_000_000)))
        .with("mock", MOCK);
    TestServer::start(repository).await
}

fn square(model: &str, id: &str, count: i32) -> ModelInferRequest {
    ModelInferRequest {
        model_name: model.to_owned(),
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

fn with_final_response(mut request: ModelInferRequest) -> ModelInferRequest {
    let flag = InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(true)) };
    request.parameters.insert("triton_enable_empty_final_response".to_owned(), flag);
    request
}

async fn stream(server: &TestServer, requests: Vec<ModelInferRequest>) -> Vec<ModelStreamInferResponse> {
    let mut client = server.client().await;
    let replies = client.model_stream_infer(tokio_stream::iter(requests)).await.unwrap().into_inner();
    replies.map(Result::unwrap).collect().await
}

/// Id, error, whether the response is final, and the number in OUT.
fn summary(reply: &ModelStreamInferResponse) -> (String, String, bool, Option<i32>) {
    let response = reply.infer_response.as_ref().unwrap();
    let flag = &response.parameters["triton_final_response"].parameter_choice;
    let number =
        response.raw_output_contents.first().map(|raw| i32::from_le_bytes((&raw[..]).try_into().unwrap()));
    let is_final = flag == &Some(ParameterChoice::BoolParam(true));
    (response.id.clone(), reply.error_message.clone(), is_final, number)
}

async fn response_stats(server: &TestServer, model: &str) -> Vec<(String, InferResponseStatistics)> {
    let asked = ModelStatisticsRequest { name: model.to_owned(), ..Default::default() };
    let reply = server.client().await.model_statistics(asked).await.unwrap().into_inner();
    let mut stats: Vec<_> = reply.model_stats[0].response_stats.clone().into_iter().collect();
    stats.sort_by_key(|(index, _)| index.parse::<u64>().unwrap());
    stats
}

#[tokio::test]
async fn a_response_that_is_an_error_is_not_the_end() {
    let server = server().await;
    let replies = stream(&server, vec![with_final_response(square("failing", "f", 4))]).await;
    let f = |error: &str, is_final, number| ("f".to_owned(), error.to_owned(), is_final, number);
    assert_eq!(
        replies.iter().map(summary).collect::<Vec<_>>(),
        [
            f("", false, Some(4)),
            f("", false, Some(4)),
            f("simulated failure", false, None),
            f("", true, None)
        ]
    );
}

#[tokio::test]
async fn responses_of_requests_may_come_in_between_each_other() {
    let server = server().await;
    let requests = vec![square("slow", "slow", 3), square("square", "none", 0), square("square", "two", 2)];
    let replies = stream(&server, requests.into_iter().map(with_final_response).collect()).await;
    for (id, count) in [("slow", 3), ("none", 0), ("two", 2)] {
        let own: Vec<_> = replies.iter().map(summary).filter(|reply| reply.0 == id).collect();
        assert_eq!(own.len(), count + 1);
        assert!(own.last().unwrap().2 && own[..count].iter().all(|reply| !reply.2), "{own:?}");
    }
}

#[tokio::test]
async fn each_response_is_counted_over_both_protocols() {
    let server = server().await;
    stream(&server, vec![square("failing", "", 4), square("failing", "", 3)]).await;
    let stats = response_stats(&server, "failing").await;
    let counts = |stats: &InferResponseStatistics| {
        let counted = [
            stats.compute_infer,
            stats.compute_output,
            stats.success,
            stats.fail,
            stats.empty_response,
            stats.cancel,
        ];
        counted.map(|duration| duration.unwrap().count)
    };
    let all: Vec<_> = stats.iter().map(|(index, stats)| (index.as_str(), counts(stats))).collect();
    assert_eq!(
        all,
        [
            ("0", [2, 2, 2, 0, 0, 0]),
            ("1", [2, 2, 1, 1, 0, 0]),
            ("2", [2, 1, 0, 1, 1, 0]),
            ("3", [1, 0, 0, 0, 1, 0]),
        ]
    );
    let http = server.get("/v2/models/failing/stats").await.text();
    for part in
        ["\"response_stats\":{\"0\":{\"compute_infer\":{\"count\":2,", "\"empty_response\":{\"count\":1,"]
    {
        assert!(http.contains(part), "{part} is not in {http}");
    }
    // A model that is not decoupled has no response statistics.
    assert_eq!(response_stats(&server, "mock").await, []);
}

#[tokio::test]
async fn a_client_that_hangs_up_stops_the_responses_and_is_counted() {
    let server = server().await;
    let mut client = server.client().await;
    let (keep_open, requests) = tokio::sync::mpsc::channel(1);
    keep_open.send(square("slow", "", 100_000)).await.unwrap();
    let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
    let mut replies = client.model_stream_infer(requests).await.unwrap().into_inner();
    replies.next().await.unwrap().unwrap();
    drop((replies, keep_open, client));
    let cancelled = || {
        let counters = server.core.statistics("slow", None).unwrap()[0].counters.clone();
        counters.responses.iter().map(|response| response.cancel.count).sum::<u64>()
    };
    // The request ends after its responses were cancelled.
    let line = "nv_inference_request_failure{model=\"slow\",reason=\"CANCELED\",version=\"1\"} 1\n";
    while !server.scrape().await.text().contains(line) {
        tokio::task::yield_now().await;
    }
    assert!(cancelled() > 0);
}

#[tokio::test]
async fn generate_answers_with_the_only_response_or_streams_all() {
    let server = server().await;
    let one = server.post("/v2/models/mock/generate", br#"{"PROMPT":"hi","STREAM":false}"#).await;
    assert_eq!((one.status, one.text().contains("\"TEXT\":\"hi\"")), (200, true), "{}", one.text());
    let body = br#"{"PROMPT":"hi","STREAM":true,"REPETITION":2,"FAIL_LAST":true}"#;
    let stream = server.post("/v2/models/mock/generate_stream", body).await;
    let text = stream.text();
    let events: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!((stream.status, events.len()), (200, 3), "{text}");
    assert!(events[..2].iter().all(|event| event.contains("\"TEXT\":\"hi\"")), "{text}");
    assert_eq!(events[2], r#"{"error":"An Error Occurred"}"#);
    let body = br#"{"PROMPT":"hi","STREAM":true,"REPETITION":2}"#;
    let many = server.post("/v2/models/mock/generate", body).await;
    assert!(many.text().contains("generate expects model to produce exactly 1 response"), "{}", many.text());
    let failing = server.post("/v2/models/failing/generate_stream", br#"{"IN":4}"#).await.text();
    assert_eq!(failing.matches("data: ").count(), 3, "{failing}");
    assert!(failing.contains(r#"data: {"error":"simulated failure"}"#), "{failing}");
}
