//! Ensembles of the built-in models over the protocols.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hippocamp_core::LoadOverrides;
use hippocamp_proto::inference::infer_parameter::ParameterChoice;
use hippocamp_proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use hippocamp_proto::inference::{
    InferParameter, ModelConfigRequest, ModelInferRequest, ModelInferResponse, RepositoryModelUnloadRequest,
};
use hippocamp_testing::{Repository, TestServer, identity_config};
use tokio_stream::StreamExt;

use crate::requests::{fp32, values};

const REPEAT: &str = "backend: \"repeat\" max_batch_size: 0 model_transaction_policy { decoupled: true }
    input { name: \"IN\" data_type: TYPE_INT32 dims: 1 } output { name: \"OUT\" data_type: TYPE_INT32 dims: 1 }";

const COPY: &str = "backend: \"identity\" max_batch_size: 0
    input { name: \"INPUT0\" data_type: TYPE_INT32 dims: 1 } output { name: \"OUTPUT0\" data_type: TYPE_INT32 dims: 1 }";

fn step(model: &str, input: (&str, &str), output: (&str, &str)) -> String {
    format!(
        "step {{ model_name: \"{model}\" model_version: -1 input_map {{ key: \"{}\" value: \"{}\" }} \
         output_map {{ key: \"{}\" value: \"{}\" }} }}",
        input.0, input.1, output.0, output.1
    )
}

/// A config of two identity models, one after the other; the result of each is an output.
pub(crate) fn chain() -> String {
    let steps = step("first", ("INPUT0", "INPUT0"), ("OUTPUT0", "MIDDLE"))
        + &step("second", ("INPUT0", "MIDDLE"), ("OUTPUT0", "OUTPUT0"));
    format!(
        "platform: \"ensemble\" max_batch_size: 8
         input {{ name: \"INPUT0\" data_type: TYPE_FP32 dims: -1 }}
         output {{ name: \"OUTPUT0\" data_type: TYPE_FP32 dims: -1 }}
         output {{ name: \"MIDDLE\" data_type: TYPE_FP32 dims: -1 }}
         ensemble_scheduling {{ {steps} }}"
    )
}

async fn server() -> TestServer {
    let repository = Repository::default()
        .with("first", &identity_config(8, "dynamic_batching { }"))
        .with("second", &identity_config(8, ""));
    repository.write("ens/config.pbtxt", chain());
    TestServer::start(repository).await
}

fn output<'a>(response: &'a ModelInferResponse, name: &str) -> &'a [u8] {
    let index = response.outputs.iter().position(|output| output.name == name).unwrap();
    &response.raw_output_contents[index]
}

async fn executions(server: &TestServer, model: &str) -> u64 {
    let statistics = server.get(&format!("/v2/models/{model}/stats")).await.text();
    let (_, count) = statistics.split_once("\"execution_count\":").unwrap();
    count.split(',').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn is_asked_like_any_model() {
    let server = server().await;
    let mut client = server.client().await;
    let response = client.model_infer(fp32("ens", "r", &[2, 3], &[1.0; 6])).await.unwrap().into_inner();
    assert_eq!((response.model_name.as_str(), response.model_version.as_str()), ("ens", "1"));
    let expected: Vec<u8> = [1f32; 6].iter().flat_map(|x| x.to_le_bytes()).collect();
    assert_eq!((output(&response, "OUTPUT0"), output(&response, "MIDDLE")), (&expected[..], &expected[..]));
    assert_eq!(response.parameters["param1"].parameter_choice, Some(ParameterChoice::Int64Param(42)));
    assert_eq!(response.parameters["sequence_id"].parameter_choice, Some(ParameterChoice::Int64Param(0)));
    for model in ["ens", "first", "second"] {
        assert_eq!(executions(&server, model).await, 1, "{model}");
    }
    let metrics = server.scrape().await.text();
    assert!(metrics.contains("nv_inference_request_success{model=\"ens\",version=\"1\"} 1"), "{metrics}");

    let metadata = server.get("/v2/models/ens").await.text();
    assert!(metadata.contains("\"platform\":\"ensemble\""), "{metadata}");
    let config = client.model_config(ModelConfigRequest { name: "ens".to_owned(), version: String::new() });
    let config = config.await.unwrap().into_inner().config.unwrap();
    assert_eq!((config.platform.as_str(), config.backend.as_str()), ("ensemble", ""));
    assert_eq!(config.model_transaction_policy.map(|policy| policy.decoupled), Some(false));
    assert!(config.instance_group.is_empty() && config.optimization.is_none());
}

#[tokio::test]
async fn does_not_run_what_nobody_asked_for() {
    let server = server().await;
    let mut request = fp32("ens", "", &[1, 1], &[2.0]);
    request.outputs = vec![InferRequestedOutputTensor {
        name: "MIDDLE".to_owned(),
        ..InferRequestedOutputTensor::default()
    }];
    let response = server.client().await.model_infer(request).await.unwrap().into_inner();
    assert_eq!(values(&response), [2.0]);
    assert_eq!((executions(&server, "first").await, executions(&server, "second").await), (1, 0));
}

#[tokio::test]
async fn errors_of_steps_name_the_ensemble() {
    let repository =
        Repository::default().with("first", &identity_config(8, "")).with("second", &identity_config(0, ""));
    repository.write("ens/config.pbtxt", chain().replace("max_batch_size: 8", "max_batch_size: 0"));
    let (server, faults) = TestServer::start_with(repository, |_| {}).await;
    assert_eq!(faults, [""; 0]);
    // Ensemble and second step take one dimension; the first step needs a batch dimension.
    let response = server.client().await.model_infer(fp32("ens", "", &[3], &[1.0; 3])).await.unwrap();
    assert_eq!(response.into_inner().outputs[0].shape, [3]);
    let body = br#"{"inputs": [{"name": "INPUT0", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]}"#;
    let reply = server.post("/v2/models/ens/infer", body).await;
    assert_eq!(reply.status, 400);
    let text = "unexpected shape for input 'INPUT0' for model 'ens'. Expected [-1], got [1,3].";
    assert!(reply.text().contains(text), "{}", reply.text());
}

fn count_to(model: &str, input: &str, count: i32) -> ModelInferRequest {
    ModelInferRequest {
        model_name: model.to_owned(),
        inputs: vec![InferInputTensor {
            name: input.to_owned(),
            datatype: "INT32".to_owned(),
            shape: vec![1],
            ..InferInputTensor::default()
        }],
        parameters: [(
            "triton_enable_empty_final_response".to_owned(),
            InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(true)) },
        )]
        .into(),
        raw_input_contents: vec![count.to_le_bytes().to_vec().into()],
        ..ModelInferRequest::default()
    }
}

#[tokio::test]
async fn a_decoupled_step_makes_it_decoupled() {
    let repository = Repository::default().with("repeat", REPEAT).with("copy", COPY);
    let steps =
        step("repeat", ("IN", "IN"), ("OUT", "t")) + &step("copy", ("INPUT0", "t"), ("OUTPUT0", "OUT"));
    let config = format!(
        "input {{ name: \"IN\" data_type: TYPE_INT32 dims: 1 }} output {{ name: \"OUT\" data_type: TYPE_INT32 dims: 1 }}
         ensemble_scheduling {{ max_inflight_requests: 2 {steps} }}"
    );
    repository.write("ens/config.pbtxt", config);
    let server = TestServer::start(repository).await;
    let mut client = server.client().await;
    let requests = vec![count_to("ens", "IN", 20), count_to("ens", "IN", 0)];
    let replies = client.model_stream_infer(tokio_stream::iter(requests)).await.unwrap().into_inner();
    let replies: Vec<_> = replies.map(|reply| reply.unwrap().infer_response.unwrap()).collect().await;
    let mut got: Vec<i32> = replies
        .iter()
        .filter(|reply| !reply.outputs.is_empty())
        .map(|reply| i32::from_le_bytes(output(reply, "OUT").try_into().unwrap()))
        .collect();
    got.sort_unstable();
    assert_eq!(got, (0..20).collect::<Vec<_>>());
    assert_eq!(replies.len(), 22, "two final responses without outputs");
    let error = client.model_infer(count_to("ens", "IN", 1)).await.unwrap_err();
    assert!(error.message().contains("decoupled"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_any_of_its_models_is_loaded_again() {
    let server = server().await;
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let mut clients = Vec::new();
    for _ in 0..4 {
        let (mut client, stop, answered) = (server.client().await, Arc::clone(&stop), Arc::clone(&answered));
        clients.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let reply = client.model_infer(fp32("ens", "", &[1, 1], &[3.0])).await?;
                assert_eq!(values(&reply.into_inner()), [3.0]);
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, tonic::Status>(())
        }));
    }
    for name in ["first", "second", "ens"].into_iter().cycle().take(30) {
        let before = answered.load(Ordering::Relaxed);
        server.core.load(name, LoadOverrides::default()).await.unwrap();
        while answered.load(Ordering::Relaxed) == before {
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn dependents_are_unloaded_over_either_protocol() {
    let unload = |dependents: bool| RepositoryModelUnloadRequest {
        model_name: "ens".to_owned(),
        parameters: [(
            "unload_dependents".to_owned(),
            hippocamp_proto::inference::ModelRepositoryParameter {
                parameter_choice: Some(
                    hippocamp_proto::inference::model_repository_parameter::ParameterChoice::BoolParam(
                        dependents,
                    ),
                ),
            },
        )]
        .into(),
        ..RepositoryModelUnloadRequest::default()
    };
    let repository =
        Repository::default().with("first", &identity_config(8, "")).with("second", &identity_config(8, ""));
    repository.write("ens/config.pbtxt", chain());
    let (server, _) = TestServer::start_with(repository, |s| s.load_models = vec!["ens".to_owned()]).await;
    let is_served = |name: &str| server.core.model(name, None).is_ok();
    assert!(is_served("first"));
    server.client().await.repository_model_unload(unload(false)).await.unwrap();
    assert!(!is_served("ens") && is_served("first"));
    server.core.load("ens", LoadOverrides::default()).await.unwrap();
    server.client().await.repository_model_unload(unload(true)).await.unwrap();
    assert!(!is_served("first") && !is_served("second"));
    server.core.load("ens", LoadOverrides::default()).await.unwrap();
    let body = br#"{"parameters": {"unload_dependents": true}}"#;
    assert_eq!(server.post("/v2/repository/models/ens/unload", body).await.status, 200);
    assert!(!is_served("first") && !is_served("second"));
}
