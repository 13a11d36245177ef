//! Tensors in shared memory over both protocols, and clients that remove the memory.

use hippocamp_backend::{Code as ErrorCode, Result};
use hippocamp_proto::inference::infer_parameter::ParameterChoice;
use hippocamp_proto::inference::model_infer_request::InferRequestedOutputTensor;
use hippocamp_proto::inference::{
    CudaSharedMemoryStatusRequest, InferParameter, ModelInferRequest, ModelInferResponse,
    SystemSharedMemoryRegisterRequest, SystemSharedMemoryStatusRequest, SystemSharedMemoryUnregisterRequest,
};
use hippocamp_testing::{Repository, SharedObject, TestServer, identity_config};
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tonic::{Code, Response, Status};

use crate::requests::{fp32, raw, values};

const SLOW: &str = "parameters { key: \"execute_delay_ms\" value { string_value: \"300\" } }";

async fn server() -> TestServer {
    let strings = "backend: \"identity\" input { name: \"INPUT0\" data_type: TYPE_STRING dims: -1 } \
                   output { name: \"OUTPUT0\" data_type: TYPE_STRING dims: -1 }";
    let repository = Repository::default()
        .with("m", &identity_config(0, ""))
        .with("slow", &identity_config(0, SLOW))
        .with("strings", strings);
    let (server, faults) =
        TestServer::start_with(repository, |settings| settings.allow_client_shm = true).await;
    assert_eq!(faults, [""; 0]);
    server
}

pub(crate) fn floats(content: &[f32]) -> Vec<u8> {
    content.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub(crate) type Parameters = std::collections::BTreeMap<String, InferParameter>;

/// The parameters of a tensor in shared memory.
pub(crate) fn place(region: &str, offset: i64, byte_size: i64) -> Parameters {
    let parameter = |choice| InferParameter { parameter_choice: Some(choice) };
    [
        ("shared_memory_region".to_owned(), parameter(ParameterChoice::StringParam(region.to_owned()))),
        ("shared_memory_offset".to_owned(), parameter(ParameterChoice::Int64Param(offset))),
        ("shared_memory_byte_size".to_owned(), parameter(ParameterChoice::Int64Param(byte_size))),
    ]
    .into()
}

/// A request whose input is in shared memory.
pub(crate) fn from_region(model: &str, shape: &[i64], input: Parameters) -> ModelInferRequest {
    let mut request = fp32(model, "", shape, &[]);
    request.raw_input_contents.clear();
    request.inputs[0].parameters = input;
    request
}

pub(crate) fn into_region(mut request: ModelInferRequest, output: Parameters) -> ModelInferRequest {
    request.outputs = vec![InferRequestedOutputTensor { name: "OUTPUT0".to_owned(), parameters: output }];
    request
}

fn register(server: &TestServer, name: &str, object: &SharedObject, size: u64) -> Result<()> {
    server.core.shared_memory().register(name, &object.key, 0, size)
}

#[tokio::test]
async fn grpc_registers_reads_and_writes_regions() {
    let server = server().await;
    let mut client = server.client().await;
    let object = SharedObject::new(&floats(&[0., 1., 2., 3., 4., 5., 6., 7.]));
    let region = SystemSharedMemoryRegisterRequest {
        name: "r".to_owned(),
        key: object.key.clone(),
        offset: 4,
        byte_size: 28,
    };
    client.system_shared_memory_register(region.clone()).await.unwrap();
    let twice = client.system_shared_memory_register(region).await.unwrap_err();
    assert_eq!(twice.code(), Code::AlreadyExists);
    let status = client.system_shared_memory_status(SystemSharedMemoryStatusRequest::default()).await;
    let status = status.unwrap().into_inner().regions.remove("r").unwrap();
    assert_eq!((status.key, status.offset, status.byte_size), (object.key.clone(), 4, 28));
    let cuda = CudaSharedMemoryStatusRequest { name: "r".to_owned() };
    assert_eq!(client.cuda_shared_memory_status(cuda).await.unwrap_err().code(), Code::NotFound);

    let reply = client.model_infer(from_region("m", &[2], place("r", 4, 8))).await.unwrap().into_inner();
    assert_eq!(values(&reply), [2., 3.]);
    let request = into_region(from_region("m", &[2], place("r", 4, 8)), place("r", 16, 12));
    let reply = client.model_infer(request).await.unwrap().into_inner();
    assert_eq!((reply.outputs[0].shape.as_slice(), reply.outputs.len()), (&[2][..], 1));
    assert_eq!(reply.raw_output_contents, [""], "an entry, and nothing in it");
    let request = into_region(fp32("m", "", &[1], &[9.]), place("r", 0, 4));
    client.model_infer(request).await.unwrap();
    assert_eq!(object.content(), floats(&[0., 9., 2., 3., 4., 2., 3., 7.]));

    let mut responses = client
        .model_stream_infer(tokio_stream::iter([
            from_region("m", &[1], place("r", 0, 4)),
            from_region("m", &[1], place("nobody", 0, 4)),
        ]))
        .await
        .unwrap()
        .into_inner();
    let first = responses.next().await.unwrap().unwrap();
    assert_eq!(values(&first.infer_response.unwrap()), [9.]);
    let second = responses.next().await.unwrap().unwrap();
    assert_eq!(second.error_message, "Unable to find shared memory region: 'nobody'");

    let all = SystemSharedMemoryUnregisterRequest::default();
    client.system_shared_memory_unregister(all).await.unwrap();
    let gone = client.model_infer(from_region("m", &[2], place("r", 4, 8))).await.unwrap_err();
    assert_eq!((gone.code(), gone.message()), (Code::NotFound, "Unable to find shared memory region: 'r'"));
}

#[tokio::test]
async fn http_registers_reads_and_writes_regions() {
    let server = server().await;
    let object = SharedObject::new(&floats(&[0., 1., 2., 3.]));
    let body = format!(r#"{{"key":"{}","byte_size":16}}"#, object.key);
    let reply = server.post("/v2/systemsharedmemory/region/a%20b/register", body.as_bytes()).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, ""));
    let status = server.get("/v2/systemsharedmemory/region/a%20b/status").await.text();
    assert_eq!(status, format!(r#"[{{"name":"a b","key":"{}","offset":0,"byte_size":16}}]"#, object.key));
    let part = |offset: u64, size: u64| {
        format!(
            r#""parameters":{{"shared_memory_region":"a b","shared_memory_offset":{offset},"shared_memory_byte_size":{size}}}"#
        )
    };
    let infer = |offset, size, output: &str| {
        let input = format!(r#"{{"name":"INPUT0","datatype":"FP32","shape":[2],{}}}"#, part(offset, size));
        format!(r#"{{"inputs":[{input}],"outputs":[{{"name":"OUTPUT0"{output}}}]}}"#)
    };
    let reply = server.post("/v2/models/m/infer", infer(4, 8, "").as_bytes()).await;
    assert!(reply.text().contains(r#""data":[1.0,2.0]"#), "{}", reply.text());
    let reply = server.post("/v2/models/m/infer", infer(4, 8, &format!(",{}", part(0, 16))).as_bytes()).await;
    assert!(reply.text().ends_with(r#""outputs":[{"name":"OUTPUT0","datatype":"FP32","shape":[2]}]}"#));
    assert_eq!(object.content(), floats(&[1., 2., 2., 3.]));

    for (offset, size, text) in [
        (16, 8, "Invalid offset for shared memory region: 'a b'"),
        (u64::MAX, 8, "Invalid offset for shared memory region: 'a b'"),
        (12, 8, "Invalid offset + byte size for shared memory region: 'a b'"),
        (8, u64::MAX - 7, "Invalid offset + byte size for shared memory region: 'a b'"),
    ] {
        let reply = server.post("/v2/models/m/infer", infer(offset, size, "").as_bytes()).await;
        assert_eq!((reply.status, reply.text()), (400, format!(r#"{{"error":"{text}"}}"#)));
        let body = infer(0, 8, &format!(",{}", part(offset, size)));
        assert_eq!(server.post("/v2/models/m/infer", body.as_bytes()).await.status, 400);
    }
    let reply = server.post("/v2/systemsharedmemory/unregister", b"").await;
    assert_eq!(
        (reply.status, server.get("/v2/systemsharedmemory/status").await.text().as_str()),
        (200, "[]")
    );
}

#[tokio::test]
async fn elements_of_free_length_are_read_once_and_checked() {
    let server = server().await;
    let object = SharedObject::new(b"\x03\0\0\0abc\xff\xff\xff\xff");
    register(&server, "r", &object, 11).unwrap();
    let mut request = raw("strings", "", "BYTES", &[1], vec![]);
    request.raw_input_contents.clear();
    request.inputs[0].parameters = place("r", 0, 7);
    let reply = server.client().await.model_infer(request.clone()).await.unwrap().into_inner();
    assert_eq!(&reply.raw_output_contents[0][..], b"\x03\0\0\0abc");
    request.inputs[0].shape = vec![2];
    request.inputs[0].parameters = place("r", 0, 11);
    let error = server.client().await.model_infer(request).await.unwrap_err();
    assert!(error.message().contains("expecting string of length 4294967295"), "{error}");
}

#[tokio::test]
async fn clients_cannot_register_unless_that_is_allowed() {
    let server = TestServer::start(Repository::default().with("m", &identity_config(0, ""))).await;
    let object = SharedObject::new(&[0; 16]);
    let error = register(&server, "r", &object, 16).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unsupported);
    let disabled =
        "Client shared memory is disabled. Start the server with '--allow-client-shm=true' to enable.";
    for (kind, action) in [("system", "region/r/register"), ("system", "unregister"), ("cuda", "unregister")]
    {
        let body = format!(r#"{{"key":"{}","byte_size":16}}"#, object.key);
        let reply = server.post(&format!("/v2/{kind}sharedmemory/{action}"), body.as_bytes()).await;
        assert_eq!((reply.status, reply.text()), (501, format!(r#"{{"error":"{disabled}"}}"#)));
    }
    let all = SystemSharedMemoryUnregisterRequest::default();
    let error = server.client().await.system_shared_memory_unregister(all).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::Unimplemented, disabled));
    assert_eq!(server.get("/v2/systemsharedmemory/status").await.text(), "[]");
    assert_eq!(server.get("/v2/cudasharedmemory/status").await.text(), "[]");
}

type Call = JoinHandle<std::result::Result<Response<ModelInferResponse>, Status>>;

/// Two requests of the slow model that both use the region: one runs, the other is queued.
async fn under_way(server: &TestServer, region: &str, request: &ModelInferRequest) -> [Call; 2] {
    let mut calls = Vec::new();
    for _ in 0..2 {
        let (mut client, request) = (server.client().await, request.clone());
        calls.push(tokio::spawn(async move { client.model_infer(request).await }));
    }
    while server.core.shared_memory().leases(region) < 2 {
        tokio::task::yield_now().await;
    }
    calls.try_into().unwrap()
}

#[tokio::test]
async fn a_region_in_use_goes_when_its_last_request_is_done() {
    let server = server().await;
    let object = SharedObject::new(&floats(&[1., 2.]));
    register(&server, "r", &object, 8).unwrap();
    let request = from_region("slow", &[1], place("r", 4, 4));
    let calls = under_way(&server, "r", &request).await;
    object.unlink();
    let memory = server.core.shared_memory();
    memory.unregister("r").unwrap();
    assert_eq!(memory.status("r").unwrap().len(), 1, "still there");
    assert!(register(&server, "r", &object, 8).unwrap_err().message().ends_with("already in manager"));
    let late = server.client().await.model_infer(request).await.unwrap_err();
    assert_eq!(late.message(), "Unable to find shared memory region: 'r'");
    for call in calls {
        call.await.unwrap().unwrap();
    }
    while memory.status("r").is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_region_that_is_truncated_while_requests_run_fails_them_alone() {
    let server = server().await;
    let (cut, whole) = (SharedObject::new(&vec![1; 1 << 20]), SharedObject::new(&vec![0; 1 << 20]));
    for (name, object) in [("cut", &cut), ("whole", &whole)] {
        register(&server, name, object, 1 << 20).unwrap();
    }
    let (here, there) = (place("cut", 0, 1 << 20), place("whole", 0, 1 << 20));
    let request = into_region(from_region("slow", &[1 << 18], here.clone()), there.clone());
    let calls = under_way(&server, "cut", &request).await;
    cut.set_len(0);
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(error.message().starts_with("the memory of shared memory region 'cut' is gone"), "{error}");
    }
    let mut client = server.client().await;
    let error = client.model_infer(from_region("m", &[1], place("cut", 0, 4))).await.unwrap_err();
    assert!(error.message().contains("unregister the region"), "{error}");
    client.model_infer(from_region("m", &[1 << 18], there)).await.unwrap();

    server.core.shared_memory().unregister("cut").unwrap();
    cut.set_len(1 << 20);
    register(&server, "cut", &cut, 1 << 20).unwrap();
    let request = into_region(fp32("slow", "", &[2], &[1., 2.]), here);
    let calls = under_way(&server, "cut", &request).await;
    cut.set_len(0);
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        assert!(error.message().starts_with("the memory of shared memory region 'cut' is gone"), "{error}");
    }
    let reply = client.model_infer(fp32("m", "", &[1], &[3.])).await.unwrap().into_inner();
    assert_eq!(values(&reply), [3.]);
}
