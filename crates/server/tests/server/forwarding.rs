//! Headers that become parameters of a request, and reach its model and the steps of an ensemble.

use std::sync::Arc;

use bytes::Bytes;
use hippocamp_access::Access;
use hippocamp_backend::{
    Backend, Batch, ExecutionTimes, InstanceSpec, Model, ModelInstance, ModelSource, NewInstance,
    OutputTensor, Response, Result,
};
use hippocamp_core::HeaderForwarding;
use hippocamp_grpc::GrpcSettings;
use hippocamp_http::HttpSettings;
use hippocamp_model_config::ModelConfig;
use hippocamp_net::{Limits, Network};
use hippocamp_proto::inference::infer_parameter::ParameterChoice;
use hippocamp_proto::inference::{ModelInferRequest, ModelInferResponse};
use hippocamp_proto::v1;
use hippocamp_services::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use hippocamp_services::v1::grpc_service_client::GrpcServiceClient;
use hippocamp_tensor::Shape;
use hippocamp_testing::{Repository, TestServer, network, send};
use hippocamp_v1::V1;
use hippocamp_v1_grpc::V1GrpcFront;
use hippocamp_v1_http::V1HttpFront;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tonic::{Code, Request};

use crate::requests::fp32;

/// Answers with the parameters of the request.
#[derive(Clone, Debug)]
struct Echo;

impl Backend for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn load(&self, _: &ModelSource) -> Result<Box<dyn Model>> {
        Ok(Box::new(Echo))
    }
}

impl Model for Echo {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, _: &InstanceSpec) -> Result<NewInstance> {
        Ok(NewInstance::bound(Echo))
    }
}

impl ModelInstance for Echo {
    fn execute(&mut self, batch: &mut Batch) {
        let times = ExecutionTimes::starting(batch.started());
        for request in batch.drain(..) {
            request.response.executed(1, &times);
            let mut response = Response { parameters: request.parameters.clone(), ..Response::default() };
            let data = Bytes::from_static(&[0; 4]).into();
            response.outputs.push(OutputTensor { index: 0, shape: Shape::from([1]), data, data_type: None });
            request.succeed(response, &times);
        }
    }
}

const ECHO: &str = "backend: \"echo\" input { name: \"INPUT0\" data_type: TYPE_FP32 dims: -1 }
    output { name: \"OUTPUT0\" data_type: TYPE_FP32 dims: -1 }";

const ENSEMBLE: &str = "platform: \"ensemble\" input { name: \"INPUT0\" data_type: TYPE_FP32 dims: -1 }
    output { name: \"OUTPUT0\" data_type: TYPE_FP32 dims: -1 }
    ensemble_scheduling { step { model_name: \"echo\" model_version: -1
        input_map { key: \"INPUT0\" value: \"INPUT0\" } output_map { key: \"OUTPUT0\" value: \"OUTPUT0\" } } }";

/// A server with ports of its own whose fronts forward what matches a pattern.
struct Forwarding {
    _server: TestServer,
    http: std::net::SocketAddr,
    grpc: String,
    _network: Arc<Network>,
    _fronts: JoinSet<()>,
}

impl Forwarding {
    async fn new(pattern: &str) -> Forwarding {
        let repository = Repository::default().with("echo", ECHO).with("ensemble", ENSEMBLE);
        let (server, faults) =
            TestServer::start_with_backends(repository, |_| {}, vec![Arc::new(Echo)]).await;
        assert_eq!(faults, [""; 0]);
        let (http, grpc) = (listener().await, listener().await);
        let (of_http, of_grpc) = (http.local_addr().unwrap(), grpc.local_addr().unwrap());
        let forwarding = HeaderForwarding::new(pattern).unwrap();
        let (network, _) = network(1, Limits::default());
        let mut fronts = JoinSet::new();
        let settings = HttpSettings { header_forwarding: forwarding.clone(), ..HttpSettings::default() };
        let core = || Arc::clone(&server.core);
        let v1 = V1::new(core());
        let v1_http = V1HttpFront::new(Arc::clone(&v1), &network, Access::open(), forwarding.clone());
        let beside = |front| v1_http.beside(front);
        fronts.spawn(hippocamp_http::serve(http, Arc::clone(&network), core(), settings, beside));
        let v1_grpc = V1GrpcFront::new(v1, &network, Access::open(), forwarding.clone());
        let settings = GrpcSettings { header_forwarding: forwarding, ..GrpcSettings::default() };
        let beside = |front| v1_grpc.beside(front);
        fronts.spawn(hippocamp_grpc::serve(grpc, Arc::clone(&network), core(), settings, beside));
        let grpc = format!("http://{of_grpc}");
        Forwarding { _server: server, http: of_http, grpc, _network: network, _fronts: fronts }
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> (u16, Value) {
        let body = body.to_string();
        let reply = send(self.http, "POST", path, headers, body.as_bytes()).await;
        (reply.status, serde_json::from_str(&reply.text()).unwrap())
    }

    async fn client(&self) -> GrpcInferenceServiceClient<tonic::transport::Channel> {
        GrpcInferenceServiceClient::connect(self.grpc.clone()).await.unwrap()
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn body(parameters: &Value) -> Value {
    let input = json!({"name": "INPUT0", "datatype": "FP32", "shape": [1], "data": [1.0]});
    json!({"inputs": [input], "parameters": parameters})
}

const HEADERS: [(&str, &str); 4] =
    [("X-Tenant", "a"), ("x-user", "7"), ("X-User", "8"), ("Unrelated", "x-tenant")];

#[tokio::test]
async fn headers_of_http_reach_models_and_steps() {
    let forwarding = Forwarding::new("tenant|USER$").await;
    for model in ["echo", "ensemble"] {
        let path = format!("/v2/models/{model}/infer");
        let (status, reply) =
            forwarding.post(&path, &HEADERS, &body(&json!({"own": 1, "x-user": "me"}))).await;
        assert_eq!(status, 200, "{reply}");
        // A header wins over a parameter of the same name.
        let mut parameters = reply["parameters"].clone();
        // A step has those of sequences, too.
        parameters.as_object_mut().unwrap().retain(|name, _| !name.starts_with("sequence_"));
        assert_eq!(parameters, json!({"own": 1, "x-tenant": "a", "x-user": "7, 8"}), "{model}");
    }
    // Only inference forwards, as in Triton.
    let (status, reply) =
        forwarding.post("/v2/models/echo/generate", &HEADERS, &json!({"INPUT0": [1.0]})).await;
    assert_eq!((status, &reply["x-tenant"]), (200, &Value::Null));
}

#[tokio::test]
async fn metadata_of_grpc_reach_models_with_every_request_of_a_stream() {
    let forwarding = Forwarding::new("^x-").await;
    let mut client = forwarding.client().await;
    let with = |request| {
        let mut request = Request::new(request);
        request.metadata_mut().insert("x-tenant", "a".parse().unwrap());
        request.metadata_mut().insert("other", "b".parse().unwrap());
        request
    };
    let tenant = |reply: &ModelInferResponse| {
        assert!(!reply.parameters.contains_key("other"));
        reply.parameters["x-tenant"].parameter_choice.clone()
    };
    let expected = Some(ParameterChoice::StringParam("a".to_owned()));
    for model in ["echo", "ensemble"] {
        let reply = client.model_infer(with(fp32(model, "", &[1], &[1.0]))).await.unwrap().into_inner();
        assert_eq!(tenant(&reply), expected);
    }
    let requests: Vec<ModelInferRequest> = vec![fp32("echo", "1", &[1], &[1.0]); 2];
    let mut request = Request::new(tokio_stream::iter(requests));
    request.metadata_mut().insert("x-tenant", "a".parse().unwrap());
    let replies = client.model_stream_infer(request).await.unwrap().into_inner();
    let replies: Vec<_> = replies.map(|reply| reply.unwrap().infer_response.unwrap()).collect().await;
    assert_eq!(replies.iter().map(tenant).collect::<Vec<_>>(), [expected.clone(), expected]);
}

#[tokio::test]
async fn reserved_names_are_refused() {
    let forwarding = Forwarding::new(".*").await;
    let text = "Header 'sequence_id' is reserved for Triton usage and cannot be forwarded.";
    let (status, reply) =
        forwarding.post("/v2/models/echo/infer", &[("sequence_id", "1")], &body(&json!({}))).await;
    assert_eq!((status, reply), (400, json!({"error": text})));
    let mut request = Request::new(fp32("echo", "", &[1], &[1.0]));
    request.metadata_mut().insert("sequence_id", "1".parse().unwrap());
    let error = forwarding.client().await.model_infer(request).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::InvalidArgument, text));
    // What gRPC itself sends is no header of the client.
    let reply = forwarding.client().await.model_infer(fp32("echo", "", &[1], &[1.0])).await.unwrap();
    assert_eq!(reply.into_inner().parameters.keys().collect::<Vec<_>>(), ["user-agent"]);
}

#[tokio::test]
async fn requests_of_v1_are_forwarded_as_well() {
    let forwarding = Forwarding::new(".*").await;
    let text = "Header 'sequence_id' is reserved for Triton usage and cannot be forwarded.";
    let header = ("NV-InferRequest", "batch_size: 1 input { name: \"INPUT0\" dims: 1 }");
    let ask = async |headers: &[(&str, &str)]| {
        send(forwarding.http, "POST", "/api/infer/echo", headers, &[0; 4]).await
    };
    assert_eq!(ask(&[header]).await.status, 200);
    let refused = ask(&[header, ("sequence_id", "1")]).await;
    assert_eq!(refused.status, 400);
    assert!(refused.head.contains(&text.replace('\'', "\\'")), "{}", refused.head);
    let mut client = GrpcServiceClient::connect(forwarding.grpc.clone()).await.unwrap();
    let mut request = Request::new(v1::InferRequest {
        model_name: "echo".to_owned(),
        model_version: -1,
        ..v1::InferRequest::default()
    });
    request.metadata_mut().insert("sequence_id", "1".parse().unwrap());
    let reply = client.infer(request).await.unwrap().into_inner();
    assert_eq!(reply.request_status.unwrap().msg, text);
}

#[tokio::test]
async fn nothing_is_forwarded_unless_it_is_asked_for() {
    let forwarding = Forwarding::new("").await;
    let (_, reply) = forwarding.post("/v2/models/echo/infer", &HEADERS, &body(&json!({"own": 1}))).await;
    assert_eq!(reply["parameters"], json!({"own": 1}));
}
