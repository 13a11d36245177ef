//! Regions in the memory of a device, through the protocols, on a simulated device.

use std::sync::Arc;

use hippocamp_device::Devices;
use hippocamp_device::testing::{TestDriver, Transfers};
use hippocamp_proto::inference::{
    CudaSharedMemoryRegisterRequest, CudaSharedMemoryStatusRequest, CudaSharedMemoryUnregisterRequest,
};
use hippocamp_testing::{Repository, TestServer, identity_config};
use tonic::Code;

use crate::shared_memory::{floats, from_region, into_region, place};

async fn server(driver: &Arc<TestDriver>) -> TestServer {
    let repository = Repository::default().with("m", &identity_config(0, ""));
    let (server, faults) = TestServer::start_with(repository, |settings| {
        settings.allow_client_shm = true;
        settings.devices = Devices::of(driver.clone());
    })
    .await;
    assert_eq!(faults, [""; 0]);
    server
}

/// The base64 text of the n-th handle of the driver for tests: that number, and zeros.
fn base64(number: u8) -> String {
    let first = ["", "AQAA", "AgAA"][usize::from(number)];
    format!("{first}{}AA==", "AAAA".repeat(20))
}

#[tokio::test]
async fn grpc_reads_and_writes_where_the_memory_is() {
    let driver = TestDriver::new(1, 1 << 20);
    let server = server(&driver).await;
    let (_, input) = driver.export(0, &floats(&[1., 2., 3., 4.]));
    let (output, other) = driver.export(0, &floats(&[0.; 4]));
    let mut client = server.client().await;
    for (name, handle) in [("in", input), ("out", other)] {
        let region = CudaSharedMemoryRegisterRequest {
            name: name.to_owned(),
            raw_handle: handle.to_vec().into(),
            device_id: 0,
            byte_size: 16,
        };
        client.cuda_shared_memory_register(region.clone()).await.unwrap();
        let twice = client.cuda_shared_memory_register(region).await.unwrap_err();
        assert_eq!(twice.code(), Code::AlreadyExists);
    }
    let status = client.cuda_shared_memory_status(CudaSharedMemoryStatusRequest::default()).await.unwrap();
    let regions = status.into_inner().regions;
    assert_eq!(regions.keys().collect::<Vec<_>>(), ["in", "out"]);
    assert_eq!((regions["in"].device_id, regions["in"].byte_size), (0, 16));

    let request = into_region(from_region("m", &[2], place("in", 4, 8)), place("out", 8, 8));
    let reply = client.model_infer(request).await.unwrap().into_inner();
    assert_eq!(reply.raw_output_contents, [""], "an entry, and nothing in it");
    assert_eq!(output.bytes()[..], floats(&[0., 0., 2., 3.]));
    let none_through_the_host = Transfers { within: 1, ..Transfers::default() };
    assert_eq!(driver.device(0).transfers(), none_through_the_host);

    let beyond = client.model_infer(from_region("m", &[2], place("in", 12, 8))).await.unwrap_err();
    assert_eq!(beyond.message(), "Invalid offset + byte size for shared memory region: 'in'");
    let negative = CudaSharedMemoryRegisterRequest { device_id: -1, ..Default::default() };
    let refused = client.cuda_shared_memory_register(negative).await.unwrap_err();
    assert!(refused.message().starts_with("failed to register shared memory region: invalid args"));
    client.cuda_shared_memory_unregister(CudaSharedMemoryUnregisterRequest::default()).await.unwrap();
    let gone = client.model_infer(from_region("m", &[2], place("in", 0, 8))).await.unwrap_err();
    assert_eq!(gone.message(), "Unable to find shared memory region: 'in'");
}

#[tokio::test]
async fn http_registers_lists_and_unregisters() {
    let driver = TestDriver::new(2, 1 << 20);
    let server = server(&driver).await;
    let _exports = [driver.export(0, &floats(&[1., 2.])), driver.export(1, &floats(&[3., 4.]))];
    let register = async |name: &str, handle: u8, device: i32, size: i32| {
        let (path, handle) = (format!("/v2/cudasharedmemory/region/{name}/register"), base64(handle));
        let body =
            format!(r#"{{"raw_handle":{{"b64":"{handle}"}},"device_id":{device},"byte_size":{size}}}"#);
        let reply = server.post(&path, body.as_bytes()).await;
        (reply.status, reply.text())
    };
    assert_eq!(register("b", 2, 1, 8).await.0, 200);
    assert_eq!(register("a", 1, 0, 8).await.0, 200);
    let (status, text) = register("c", 1, 0, 9).await;
    let large =
        r#"{"error":"failed to register shared memory region 'c': invalid args: it has 8 bytes, not 9"}"#;
    assert_eq!((status, text.as_str()), (400, large));
    let foreign = register("c", 1, 1, 8).await;
    assert!(foreign.0 == 400 && foreign.1.contains("the memory is on another device"), "{foreign:?}");
    let all = r#"[{"name":"a","device_id":0,"byte_size":8},{"name":"b","device_id":1,"byte_size":8}]"#;
    assert_eq!(server.get("/v2/cudasharedmemory/status").await.text(), all);
    let one = r#"[{"name":"b","device_id":1,"byte_size":8}]"#;
    assert_eq!(server.get("/v2/cudasharedmemory/region/b/status").await.text(), one);

    let place = r#"{"shared_memory_region":"b","shared_memory_byte_size":8}"#;
    let input = format!(r#"{{"name":"INPUT0","datatype":"FP32","shape":[2],"parameters":{place}}}"#);
    let reply = server.post("/v2/models/m/infer", format!(r#"{{"inputs":[{input}]}}"#).as_bytes()).await;
    assert!(reply.text().contains(r#""data":[3.0,4.0]"#), "{}", reply.text());

    assert_eq!(server.post("/v2/systemsharedmemory/unregister", b"").await.status, 200);
    assert_eq!(server.get("/v2/cudasharedmemory/status").await.text(), all, "the others are not its own");
    assert_eq!(server.post("/v2/cudasharedmemory/region/b/unregister", b"").await.status, 200);
    assert_eq!(
        server.get("/v2/cudasharedmemory/status").await.text(),
        all.replace(&format!(",{}", &one[1..]), "]")
    );
    assert_eq!(server.post("/v2/cudasharedmemory/unregister", b"").await.status, 200);
    assert_eq!(server.get("/v2/cudasharedmemory/status").await.text(), "[]");
}

#[tokio::test]
async fn v1_reads_and_writes_where_the_memory_is() {
    use hippocamp_proto::v1::infer_request_header::{Input, Output};
    use hippocamp_proto::v1::shared_memory_control_request::register::{
        CudaSharedMemoryIdentifier, SharedMemoryTypes,
    };
    use hippocamp_proto::v1::shared_memory_control_request::{Register, SharedMemoryControl as Asked};
    use hippocamp_proto::v1::{
        InferRequest, InferRequestHeader, InferSharedMemory, RequestStatusCode, SharedMemoryControlRequest,
    };
    use hippocamp_services::v1::grpc_service_client::GrpcServiceClient;

    let driver = TestDriver::new(1, 1 << 20);
    let server = server(&driver).await;
    let (_, input) = driver.export(0, &floats(&[1., 2., 3., 4.]));
    let (output, other) = driver.export(0, &floats(&[0.; 4]));
    let mut client = GrpcServiceClient::connect(format!("http://{}", server.grpc)).await.unwrap();
    for (name, handle, device_id, code) in [
        ("in", input, 0, RequestStatusCode::Success),
        ("out", other, 0, RequestStatusCode::Success),
        ("far", other, 3, RequestStatusCode::InvalidArg),
    ] {
        let memory = CudaSharedMemoryIdentifier { raw_handle: handle.to_vec().into(), device_id };
        let register = Register {
            name: name.to_owned(),
            byte_size: 16,
            shared_memory_types: Some(SharedMemoryTypes::CudaSharedMemory(memory)),
        };
        let control = SharedMemoryControlRequest { shared_memory_control: Some(Asked::Register(register)) };
        let done = client.shared_memory_control(control).await.unwrap().into_inner();
        assert_eq!(done.request_status.unwrap().code(), code, "{name}");
    }
    let place = |name: &str, offset| Some(InferSharedMemory { name: name.to_owned(), offset, byte_size: 8 });
    let tensor = |name: &str| Input { name: name.to_owned(), dims: vec![2], ..Input::default() };
    let header = InferRequestHeader {
        batch_size: 1,
        input: vec![Input { shared_memory: place("in", 4), ..tensor("INPUT0") }],
        output: vec![Output {
            name: "OUTPUT0".to_owned(),
            shared_memory: place("out", 8),
            ..Output::default()
        }],
        ..InferRequestHeader::default()
    };
    let request = InferRequest {
        model_name: "m".to_owned(),
        model_version: -1,
        meta_data: Some(header),
        raw_input: Vec::new(),
    };
    let reply = client.infer(request).await.unwrap().into_inner();
    assert_eq!(reply.request_status.unwrap().code(), RequestStatusCode::Success);
    assert_eq!(output.bytes()[..], floats(&[0., 0., 2., 3.]));
    let none_through_the_host = Transfers { within: 1, ..Transfers::default() };
    assert_eq!(driver.device(0).transfers(), none_through_the_host);
}
