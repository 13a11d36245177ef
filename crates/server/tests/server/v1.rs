//! V1 over gRPC: what its own client never sends, the order of streams, refusals, and who may do what.

use std::sync::Arc;
use std::time::Duration;

use hippocamp_proto::v1::RequestStatusCode::{InvalidArg, Unavailable, Unsupported};
use hippocamp_proto::v1::infer_request_header::output::Class;
use hippocamp_proto::v1::infer_request_header::{Input, Output};
use hippocamp_proto::v1::{
    HealthRequest, InferRequest, InferRequestHeader, InferResponse, ModelControlRequest, RepositoryRequest,
    RequestStatusCode, SharedMemoryControlRequest, StatusRequest, shared_memory_control_request,
    shared_memory_control_response,
};
use hippocamp_services::v1::grpc_service_client::GrpcServiceClient;
use hippocamp_testing::{Gate, Repository, SharedObject, TestServer, gate_config, identity_config, send};
use tokio_stream::StreamExt;
use tonic::transport::Channel;

const REPEAT: &str = "backend: \"repeat\" max_batch_size: 0 model_transaction_policy { decoupled: true }
    input { name: \"IN\" data_type: TYPE_INT32 dims: 1 }
    output { name: \"OUT\" data_type: TYPE_INT32 dims: 1 }";

async fn server() -> TestServer {
    let slow = "parameters { key: \"execute_delay_ms\" value { string_value: \"50\" } }";
    let repository = Repository::default()
        .with("m", &identity_config(4, ""))
        .with("slow", &identity_config(4, slow))
        .with("repeat", REPEAT);
    TestServer::start_with(repository, |settings| settings.allow_client_shm = true).await.0
}

async fn client(server: &TestServer) -> GrpcServiceClient<Channel> {
    let client = GrpcServiceClient::connect(format!("http://{}", server.grpc)).await.unwrap();
    client.max_decoding_message_size(usize::MAX).max_encoding_message_size(usize::MAX)
}

/// A request for two values, with a batch size of 1.
fn request(model: &str, id: u64, values: [f32; 2]) -> InferRequest {
    let input = Input { name: "INPUT0".to_owned(), dims: vec![2], ..Input::default() };
    let output = Output { name: "OUTPUT0".to_owned(), ..Output::default() };
    InferRequest {
        model_name: model.to_owned(),
        model_version: -1,
        meta_data: Some(InferRequestHeader {
            id,
            batch_size: 1,
            input: vec![input],
            output: vec![output],
            ..InferRequestHeader::default()
        }),
        raw_input: vec![values.map(f32::to_le_bytes).concat().into()],
    }
}

/// The code and text of a reply, and the id that it has.
fn told(reply: &InferResponse) -> (RequestStatusCode, &str, u64) {
    let status = reply.request_status.as_ref().unwrap();
    assert_eq!(status.server_id, "inference:0");
    assert!(status.request_id > 0);
    (status.code(), &status.msg, reply.meta_data.as_ref().unwrap().id)
}

#[tokio::test]
async fn raw_outputs_stand_beside_the_outputs() {
    let server = server().await;
    let mut client = client(&server).await;
    let mut asked = request("m", 7, [1.0, 2.0]);
    let header = asked.meta_data.as_mut().unwrap();
    header.batch_size = 2;
    asked.raw_input = vec![[1.0f32, 2.0, 3.0, 4.0].map(f32::to_le_bytes).concat().into()];
    let reply = client.infer(asked.clone()).await.unwrap().into_inner();
    assert_eq!(told(&reply), (RequestStatusCode::Success, "", 7));
    let header = reply.meta_data.unwrap();
    assert_eq!((&*header.model_name, header.model_version, header.batch_size), ("m", 1, 2));
    let raw = header.output[0].raw.as_ref().unwrap();
    assert_eq!((raw.dims.as_slice(), raw.batch_byte_size), (&[2][..], 16));
    assert_eq!(reply.raw_output, asked.raw_input);
}

#[tokio::test]
async fn zero_classes_are_the_raw_values() {
    let server = server().await;
    let mut client = client(&server).await;
    let mut asked = request("m", 7, [1.0, 2.0]);
    asked.meta_data.as_mut().unwrap().output[0].cls = Some(Class { count: 0 });
    let reply = client.infer(asked.clone()).await.unwrap().into_inner();
    assert_eq!(told(&reply), (RequestStatusCode::Success, "", 7));
    let output = &reply.meta_data.unwrap().output[0];
    assert!(output.batch_classes.is_empty() && output.raw.is_some(), "{output:?}");
    assert_eq!(reply.raw_output, asked.raw_input);
}

fn header(request: &mut InferRequest) -> &mut InferRequestHeader {
    request.meta_data.as_mut().unwrap()
}

/// Wrong requests, and what the reply says.
fn wrong_requests() -> Vec<(InferRequest, RequestStatusCode, &'static str)> {
    let change = |change: fn(&mut InferRequest)| {
        let mut request = request("m", 9, [1.0, 2.0]);
        change(&mut request);
        request
    };
    let unknown = "Inference request for unknown model 'm'";
    vec![
        (change(|r| r.model_version = 0), Unavailable, unknown),
        (change(|r| r.model_version = -2), Unavailable, unknown),
        (change(|r| r.model_version = 2), Unavailable, unknown),
        (
            change(|r| r.raw_input.clear()),
            InvalidArg,
            "expected tensor data for at least 1 inputs but got only 0 sets of data for model 'm'",
        ),
        (
            change(|r| r.raw_input[0] = vec![0; 12].into()),
            InvalidArg,
            "unexpected size 12 for input 'INPUT0', expecting 8 for model 'm'",
        ),
        (
            change(|r| r.raw_input.push(vec![0; 8].into())),
            InvalidArg,
            "unexpected additional input data for model 'm'",
        ),
        (
            change(|r| header(r).input[0].dims = vec![i64::MAX]),
            InvalidArg,
            "input 'INPUT0' for model 'm' has more bytes than fit into memory, its shape is [1,9223372036854775807]",
        ),
        (
            change(|r| header(r).batch_size = 5),
            InvalidArg,
            "inference request batch-size must be <= 4 for 'm'",
        ),
        (change(|r| header(r).input.clear()), InvalidArg, "expected 1 inputs but got 0 inputs for model 'm'"),
        (
            change(|r| {
                let input = header(r).input[0].clone();
                header(r).input.push(input);
            }),
            InvalidArg,
            "expected 1 inputs but got 2 inputs for model 'm'",
        ),
        (
            change(|r| {
                let output = header(r).output[0].clone();
                header(r).output.push(output);
            }),
            InvalidArg,
            "output 'OUTPUT0' already exists in request",
        ),
        (
            change(|r| "repeat".clone_into(&mut r.model_name)),
            Unsupported,
            "models with decoupled transaction policy are served by v2 of the protocol only",
        ),
    ]
}

#[tokio::test]
async fn what_is_wrong_is_told_in_a_reply_that_is_ok() {
    let server = server().await;
    let mut client = client(&server).await;
    for (request, code, text) in wrong_requests() {
        let reply = client.infer(request).await.unwrap().into_inner();
        assert_eq!(told(&reply), (code, text, 9));
        assert!(reply.raw_output.is_empty() && reply.meta_data.unwrap().output.is_empty());
    }
    let reply = client.infer(InferRequest::default()).await.unwrap().into_inner();
    assert_eq!(told(&reply).1, "Inference request for unknown model ''");
}

#[tokio::test]
async fn streams_answer_in_the_order_of_the_requests() {
    let server = server().await;
    let mut client = client(&server).await;
    let requests = vec![
        request("slow", 1, [1.0, 0.0]),
        request("m", 2, [2.0, 0.0]),
        request("nobody", 3, [3.0, 0.0]),
        InferRequest { raw_input: Vec::new(), ..request("m", 4, [4.0, 0.0]) },
        request("m", 5, [5.0, 0.0]),
    ];
    let sent = requests.clone();
    let replies = client.stream_infer(tokio_stream::iter(requests)).await.unwrap().into_inner();
    let replies: Vec<InferResponse> = replies.map(Result::unwrap).collect().await;
    let ids: Vec<u64> = replies.iter().map(|reply| told(reply).2).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5]);
    for n in [0, 1, 4] {
        assert_eq!(replies[n].raw_output, sent[n].raw_input);
    }
    assert_eq!(told(&replies[2]).1, "Inference request for unknown model 'nobody'");
    assert!(told(&replies[3]).1.starts_with("expected tensor data for at least 1 inputs"));
    let mut numbers: Vec<u64> =
        replies.iter().map(|reply| reply.request_status.as_ref().unwrap().request_id).collect();
    numbers.dedup();
    assert_eq!(numbers.len(), 5, "each has a number of its own");
}

#[tokio::test]
async fn a_large_tensor_comes_and_goes_in_pieces() {
    let server = server().await;
    let mut client = client(&server).await;
    let mut request = request("m", 0, [0.0, 0.0]);
    let count = 5 << 20;
    request.meta_data.as_mut().unwrap().input[0].dims = vec![count];
    let bytes: Vec<u8> = (0..4 * count).map(|n| n as u8).collect();
    request.raw_input = vec![bytes.clone().into()];
    let reply = client.infer(request).await.unwrap().into_inner();
    assert!(reply.raw_output[0] == bytes);
}

#[tokio::test]
async fn other_calls_end_with_ok_as_well() {
    let server = server().await;
    let mut client = client(&server).await;
    let health = |mode: &str| HealthRequest { mode: mode.to_owned() };
    let ready = client.health(health("ready")).await.unwrap().into_inner();
    assert!(ready.health && ready.request_status.unwrap().code() == RequestStatusCode::Success);
    let other = client.health(health("x")).await.unwrap().into_inner().request_status.unwrap();
    assert_eq!((other.code(), &*other.msg), (RequestStatusCode::Unknown, "unknown health mode 'x'"));
    let status = client.status(StatusRequest { model_name: "nope".to_owned() }).await.unwrap().into_inner();
    let told = status.request_status.unwrap();
    assert_eq!(
        (told.code(), &*told.msg),
        (RequestStatusCode::InvalidArg, "no status available for unknown model 'nope'")
    );
    assert!(status.server_status.is_none());
    let index = client.repository(RepositoryRequest::default()).await.unwrap().into_inner();
    assert_eq!(index.request_status.unwrap().msg, "request type is not specified");
    assert!(index.response_type.is_some(), "the client wants one of the kinds");
    let nothing = client.shared_memory_control(SharedMemoryControlRequest::default()).await.unwrap();
    assert_eq!(nothing.into_inner().request_status.unwrap().msg, "request type is not specified");
}

#[tokio::test]
async fn regions_are_listed_where_the_proto_has_them_and_where_the_client_reads() {
    use shared_memory_control_request::SharedMemoryControl as Asked;
    use shared_memory_control_request::register::{SharedMemoryTypes, SystemSharedMemoryIdentifier};
    let server = server().await;
    let mut client = client(&server).await;
    let object = SharedObject::new(&[0; 64]);
    let control = |asked| SharedMemoryControlRequest { shared_memory_control: Some(asked) };
    let register = shared_memory_control_request::Register {
        name: "r".to_owned(),
        byte_size: 32,
        shared_memory_types: Some(SharedMemoryTypes::SystemSharedMemory(SystemSharedMemoryIdentifier {
            shared_memory_key: object.key.clone(),
            offset: 8,
        })),
    };
    let done = client.shared_memory_control(control(Asked::Register(register))).await.unwrap().into_inner();
    assert_eq!(done.request_status.unwrap().msg, "");
    // No name stands for no region, and not for all of them.
    let unnamed = shared_memory_control_request::Unregister::default();
    client.shared_memory_control(control(Asked::Unregister(unnamed))).await.unwrap();
    let status = shared_memory_control_request::Status {};
    let listed = client.shared_memory_control(control(Asked::Status(status))).await.unwrap().into_inner();
    let Some(shared_memory_control_response::SharedMemoryControl::SharedMemoryStatus(regions)) =
        listed.shared_memory_control
    else {
        panic!("a status has regions")
    };
    assert_eq!(regions.shared_memory_region, regions.as_clients_read);
    assert_eq!(
        (&*regions.shared_memory_region[0].name, regions.shared_memory_region[0].byte_size),
        ("r", 32)
    );
}

#[tokio::test]
async fn models_are_controlled_in_explicit_mode_only() {
    let repository = Repository::default().with("m", &identity_config(0, ""));
    let (server, _) = TestServer::start_with(repository, |settings| {
        settings.control_mode = hippocamp_core::ControlMode::None;
    })
    .await;
    let mut client = client(&server).await;
    let load = ModelControlRequest { model_name: "m".to_owned(), r#type: 1 };
    let status = client.model_control(load).await.unwrap().into_inner().request_status.unwrap();
    assert_eq!(
        (status.code(), &*status.msg),
        (RequestStatusCode::Unavailable, "explicit model load / unload is not allowed if polling is enabled")
    );
}

#[tokio::test]
async fn what_is_neither_a_load_nor_an_unload_changes_nothing() {
    let server = server().await;
    let mut client = client(&server).await;
    let unknown = ModelControlRequest { model_name: "m".to_owned(), r#type: 7 };
    let status = client.model_control(unknown).await.unwrap().into_inner().request_status.unwrap();
    let text = "model 'm' can be loaded, by type 1, or unloaded, by 0, got type 7";
    assert_eq!((status.code(), &*status.msg), (RequestStatusCode::InvalidArg, text));
    let reply = client.infer(request("m", 1, [1.0, 2.0])).await.unwrap().into_inner();
    assert_eq!(told(&reply).0, RequestStatusCode::Success);
}

#[tokio::test]
async fn a_stopping_server_says_so() {
    let server = server().await;
    let mut client = client(&server).await;
    client.infer(request("m", 0, [1.0, 2.0])).await.unwrap();
    server.core.begin_stop();
    let health = client.health(HealthRequest { mode: "live".to_owned() }).await.unwrap().into_inner();
    let told = health.request_status.unwrap();
    assert_eq!((told.code(), &*told.msg), (RequestStatusCode::Unavailable, "Server exiting"));
    let reply = server.get("/api/health/ready").await;
    assert_eq!(reply.status, 400);
    assert!(server.stop(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn what_runs_on_a_stream_is_answered_before_the_end() {
    let gate = Gate::default();
    let repository =
        Repository::default().with("m", &gate_config(0, "instance_group { count: 1 kind: KIND_CPU }"));
    let (server, _) = TestServer::start_with_backends(repository, |_| {}, vec![Arc::new(gate.clone())]).await;
    let mut client = client(&server).await;
    // The client says neither more nor that this was all.
    let requests = tokio_stream::iter([request("m", 1, [1.0, 0.0])]).chain(tokio_stream::pending());
    let replies = tokio::spawn(async move { client.stream_infer(requests).await.unwrap().into_inner() });
    gate.begun(1).await;
    let stopped = tokio::spawn(server.stop(Duration::from_secs(20)));
    gate.open(1);
    let mut replies = replies.await.unwrap();
    assert_eq!(told(&replies.next().await.unwrap().unwrap()), (RequestStatusCode::Success, "", 1));
    assert!(replies.next().await.is_none(), "an idle stream ends with OK");
    assert!(stopped.await.unwrap());
}

#[tokio::test]
async fn v2_knows_nothing_of_v1() {
    let server = server().await;
    assert_eq!(server.get("/v2/health/ready").await.status, 200);
    assert_eq!(server.get("/api/health/ready").await.status, 200);
    let reply = send(server.http, "GET", "/api/nothing", &[], b"").await;
    assert_eq!((reply.status, reply.text().as_str()), (400, ""));
    assert_eq!(server.get("/apiary").await.status, 404);
    // Both count in the same statistics.
    let mut client = client(&server).await;
    client.infer(request("m", 0, [1.0, 2.0])).await.unwrap();
    let before = server.core.statistics("m", None).unwrap().remove(0).counters;
    assert_eq!((before.success.count, before.requests[&1].success.count), (1, 1));
}
