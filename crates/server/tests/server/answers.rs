//! Answers of Triton that a good guess gets wrong, over all protocols.

use hippocamp_proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use hippocamp_proto::inference::{
    ModelConfigRequest, ModelInferRequest, ModelMetadataRequest, ModelReadyRequest, ModelStatisticsRequest,
    SystemSharedMemoryRegisterRequest, SystemSharedMemoryStatusRequest, SystemSharedMemoryUnregisterRequest,
};
use hippocamp_testing::{Repository, SharedObject, TestServer, identity_config};
use serde_json::{Value, json};
use tokio_stream::StreamExt;
use tonic::Code;

use crate::requests::fp32;
use crate::shared_memory::place;

const THREE: &str = "backend: \"identity\" max_batch_size: 4
    input [{ name: \"INPUT0\" data_type: TYPE_FP32 dims: 1 }, { name: \"INPUT1\" data_type: TYPE_FP32 dims: 1 },
           { name: \"INPUT2\" data_type: TYPE_FP32 dims: 1 }]
    output [{ name: \"OUTPUT0\" data_type: TYPE_FP32 dims: 1 }, { name: \"OUTPUT1\" data_type: TYPE_FP32 dims: 1 },
            { name: \"OUTPUT2\" data_type: TYPE_FP32 dims: 1 }]";

const REPEAT: &str = "backend: \"repeat\" max_batch_size: 0 model_transaction_policy { decoupled: true }
    input { name: \"IN\" data_type: TYPE_INT32 dims: 1 }
    output { name: \"OUT\" data_type: TYPE_INT32 dims: 1 }";

async fn server() -> TestServer {
    let repository =
        Repository::default().with("m", &identity_config(0, "")).with("three", THREE).with("repeat", REPEAT);
    let (server, faults) =
        TestServer::start_with(repository, |settings| settings.allow_client_shm = true).await;
    assert_eq!(faults, [""; 0]);
    server
}

/// The error of a request by a unary call and by a stream, which say the same.
async fn grpc_error(server: &TestServer, request: ModelInferRequest) -> (Code, String) {
    let mut client = server.client().await;
    let unary = client.model_infer(request.clone()).await.unwrap_err();
    let mut stream = client.model_stream_infer(tokio_stream::iter([request])).await.unwrap().into_inner();
    let reply = stream.next().await.unwrap().unwrap();
    assert_eq!(reply.error_message, unary.message());
    (unary.code(), unary.message().to_owned())
}

async fn http_error(server: &TestServer, path: &str, body: &Value) -> (u16, String) {
    let reply = server.post(path, body.to_string().as_bytes()).await;
    let error: Value = serde_json::from_str(&reply.text()).unwrap();
    (reply.status, error["error"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn version_0_is_one_that_no_model_has() {
    let server = server().await;
    let mut client = server.client().await;
    let text = "Request for unknown model: 'm' version 0 is not found";
    let mut request = fp32("m", "", &[1], &[1.0]);
    request.model_version = "0".to_owned();
    assert_eq!(grpc_error(&server, request).await, (Code::NotFound, text.to_owned()));
    let (name, version) = ("m".to_owned(), "0".to_owned());
    let asked = ModelMetadataRequest { name: name.clone(), version: version.clone() };
    let error = client.model_metadata(asked).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::NotFound, text));
    let asked = ModelConfigRequest { name: name.clone(), version: version.clone() };
    let error = client.model_config(asked).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::NotFound, text));
    let asked = ModelReadyRequest { name: name.clone(), version: version.clone() };
    assert!(!client.model_ready(asked).await.unwrap().into_inner().ready);
    let error = client.model_statistics(ModelStatisticsRequest { name, version }).await.unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::InvalidArgument, "requested model version is not available for model 'm'")
    );
    let body = json!({"inputs": []});
    assert_eq!(http_error(&server, "/v2/models/m/versions/0/infer", &body).await, (404, text.to_owned()));
    assert_eq!(server.get("/v2/models/m/versions/0").await.status, 404);
}

#[tokio::test]
async fn an_unknown_model_is_named_without_the_version() {
    let server = server().await;
    let text = "Request for unknown model: 'nope' is not found".to_owned();
    for version in ["", "0", "1"] {
        let mut request = fp32("nope", "", &[1], &[1.0]);
        request.model_version = version.to_owned();
        assert_eq!(grpc_error(&server, request).await, (Code::NotFound, text.clone()));
    }
    for path in ["nope/infer", "nope/versions/1/infer", "nope/versions/1/generate"] {
        let path = format!("/v2/models/{path}");
        assert_eq!(http_error(&server, &path, &json!({"inputs": []})).await, (404, text.clone()));
    }
    assert!(server.get("/v2/models/nope/versions/1").await.text().contains(&text));
}

#[tokio::test]
async fn of_different_batch_sizes_the_first_input_of_the_model_is_named() {
    let server = server().await;
    // What comes in which order, and the name that the error has.
    for (sizes, name) in [
        ([("INPUT0", 1), ("INPUT1", 2), ("INPUT2", 2)], "INPUT0"),
        ([("INPUT0", 1), ("INPUT1", 1), ("INPUT2", 2)], "INPUT0"),
        ([("INPUT2", 2), ("INPUT1", 1), ("INPUT0", 1)], "INPUT0"),
        ([("INPUT0", 2), ("INPUT1", 1), ("INPUT2", 2)], "INPUT1"),
        ([("INPUT1", 1), ("INPUT2", 2), ("INPUT0", 2)], "INPUT1"),
    ] {
        let text = format!(
            "[request id: <id_unknown>] input '{name}' batch size does not match other inputs for 'three'"
        );
        let inputs = sizes.map(|(name, size)| InferInputTensor {
            name: name.to_owned(),
            datatype: "FP32".to_owned(),
            shape: vec![size, 1],
            ..InferInputTensor::default()
        });
        let raw = sizes.map(|(_, size)| vec![0_u8; 4 * size as usize].into());
        let request = ModelInferRequest {
            model_name: "three".to_owned(),
            inputs: inputs.to_vec(),
            raw_input_contents: raw.to_vec(),
            ..ModelInferRequest::default()
        };
        assert_eq!(grpc_error(&server, request).await, (Code::InvalidArgument, text.clone()));
        let inputs = sizes.map(|(name, size)| {
            json!({"name": name, "datatype": "FP32", "shape": [size, 1], "data": vec![0.0; size as usize]})
        });
        let body = json!({"inputs": inputs});
        assert_eq!(http_error(&server, "/v2/models/three/infer", &body).await, (400, text));
    }
}

#[tokio::test]
async fn a_decoupled_request_without_responses_is_an_execution() {
    let server = server().await;
    let none = || ModelInferRequest {
        model_name: "repeat".to_owned(),
        inputs: vec![InferInputTensor {
            name: "IN".to_owned(),
            datatype: "INT32".to_owned(),
            shape: vec![1],
            ..InferInputTensor::default()
        }],
        raw_input_contents: vec![vec![0; 4].into()],
        ..ModelInferRequest::default()
    };
    let mut client = server.client().await;
    let mut stream = client.model_stream_infer(tokio_stream::iter([none()])).await.unwrap().into_inner();
    assert!(stream.next().await.is_none());
    assert_eq!(server.post("/v2/models/repeat/generate_stream", br#"{"IN":0}"#).await.status, 200);
    assert_eq!(server.post("/v2/models/repeat/generate", br#"{"IN":0}"#).await.status, 400);
    let statistics: Value =
        serde_json::from_str(&server.get("/v2/models/repeat/stats").await.text()).unwrap();
    let statistics = &statistics["model_stats"][0];
    assert_eq!((&statistics["inference_count"], &statistics["execution_count"]), (&json!(3), &json!(3)));
    for phase in ["success", "queue", "compute_input", "compute_infer", "compute_output"] {
        assert_eq!(statistics["inference_stats"][phase]["count"], 3, "{phase}");
    }
    assert_eq!(statistics["inference_stats"]["fail"]["count"], 0);
    assert_eq!(statistics["response_stats"], json!({}));
    assert_eq!(statistics["batch_stats"][0]["compute_infer"]["count"], 3);
}

#[tokio::test]
async fn shared_memory_of_size_0_is_refused_as_a_place() {
    let server = server().await;
    let object = SharedObject::new(&[0; 16]);
    let region = SystemSharedMemoryRegisterRequest {
        name: "r".to_owned(),
        key: object.key.clone(),
        offset: 0,
        byte_size: 16,
    };
    server.client().await.system_shared_memory_register(region).await.unwrap();
    let text = "Invalid offset + byte size for shared memory region: 'r'".to_owned();
    for offset in [0, 4] {
        let mut request = fp32("m", "", &[1], &[1.0]);
        request.outputs.push(InferRequestedOutputTensor {
            name: "OUTPUT0".to_owned(),
            parameters: place("r", offset, 0),
        });
        assert_eq!(grpc_error(&server, request.clone()).await, (Code::InvalidArgument, text.clone()));
        request.outputs.clear();
        request.raw_input_contents.clear();
        request.inputs[0].parameters = place("r", offset, 0);
        assert_eq!(grpc_error(&server, request).await, (Code::InvalidArgument, text.clone()));
    }
    // Over HTTP the size is 0 where it is left out.
    let parameters = json!({"shared_memory_region": "r"});
    let input = json!({"name": "INPUT0", "datatype": "FP32", "shape": [1]});
    let with = |what: &Value, name: &str, value: Value| {
        let mut what = what.clone();
        what[name] = value;
        what
    };
    let shared = json!({"inputs": [with(&input, "parameters", parameters.clone())]});
    let out = json!({"inputs": [with(&input, "data", json!([1.0]))],
                     "outputs": [{"name": "OUTPUT0", "parameters": parameters}]});
    for body in [shared, out] {
        assert_eq!(http_error(&server, "/v2/models/m/infer", &body).await, (400, text.clone()));
    }
}

#[tokio::test]
async fn a_region_without_a_name_is_judged_by_its_key() {
    let server = server().await;
    let mut client = server.client().await;
    let error =
        client.system_shared_memory_register(SystemSharedMemoryRegisterRequest::default()).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::Internal, "Unable to open shared memory region: ''"));
    let object = SharedObject::new(&[0; 16]);
    let region =
        SystemSharedMemoryRegisterRequest { key: object.key.clone(), byte_size: 16, ..Default::default() };
    client.system_shared_memory_register(region).await.unwrap();
    let all = SystemSharedMemoryStatusRequest::default();
    let regions = client.system_shared_memory_status(all.clone()).await.unwrap().into_inner().regions;
    assert_eq!(regions[""].byte_size, 16);
    client.system_shared_memory_unregister(SystemSharedMemoryUnregisterRequest::default()).await.unwrap();
    assert!(client.system_shared_memory_status(all).await.unwrap().into_inner().regions.is_empty());
    // Over HTTP the name is a part of the path, and asked for first.
    let text = "'region name' is necessary to register system shared memory region".to_owned();
    let answer = http_error(&server, "/v2/systemsharedmemory/register", &Value::Null).await;
    assert_eq!(answer, (400, text));
}

#[tokio::test]
async fn any_path_of_the_metrics_port_is_empty() {
    let server = server().await;
    for path in ["/", "/x"] {
        let reply = server.get_metrics(path).await;
        assert_eq!((reply.status, reply.text().as_str()), (200, ""));
    }
    assert!(server.get_metrics("/metrics").await.text().contains("nv_inference_count"));
}
