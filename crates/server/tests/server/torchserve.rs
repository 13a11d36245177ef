//! TorchServe's API over the whole server: predictions, management, tokens, and gRPC.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hippocamp_access::{Access, Protocol, Restrictions};
use hippocamp_archive_repository::Archives;
use hippocamp_download::{Allowed, Downloads, Times};
use hippocamp_net::{Http2, Port};
use hippocamp_proto::torchserve::inference::{Empty, PredictionResponse, PredictionsRequest};
use hippocamp_proto::torchserve::management::{ListModelsRequest, RegisterModelRequest};
use hippocamp_repository::RepositoryLocation;
use hippocamp_services::MessageCodec;
use hippocamp_services::torchserve_inference::inference_ap_is_service_client::InferenceApIsServiceClient;
use hippocamp_services::torchserve_management::management_ap_is_service_client::ManagementApIsServiceClient;
use hippocamp_testing::{HttpReply, Repository, TestServer, identity_config, send};
use hippocamp_torchserve::{Tokens, TorchServe, TorchServeSettings};
use hippocamp_torchserve_grpc::{Services, TorchServeGrpcFront};
use hippocamp_torchserve_http::{Parts, TorchServeHttpFront};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_stream::StreamExt;

struct Served {
    server: TestServer,
    http: SocketAddr,
    grpc: SocketAddr,
}

const TEXTS: &str = "backend: \"identity\" max_batch_size: 4\n\
    input { name: \"INPUT0\" data_type: TYPE_STRING dims: 1 }\noutput { name: \"OUTPUT0\" data_type: TYPE_STRING dims: 1 }\n\
    instance_group { count: 1 kind: KIND_CPU }\n";

const PAIR: &str = "backend: \"identity\" max_batch_size: 0\n\
    input [ { name: \"INPUT0\" data_type: TYPE_INT32 dims: 2 }, { name: \"INPUT1\" data_type: TYPE_FP32 dims: 1 } ]\n\
    output [ { name: \"OUTPUT0\" data_type: TYPE_INT32 dims: 2 }, { name: \"OUTPUT1\" data_type: TYPE_FP32 dims: 1 } ]\n";

async fn serve(settings: TorchServeSettings) -> Served {
    serve_parts(Parts { inference: true, management: true, metrics: true }, settings).await
}

/// With these parts on the one port of HTTP.
async fn serve_parts(parts: Parts, settings: TorchServeSettings) -> Served {
    serve_for(parts, settings, Access::open()).await
}

/// For clients that `access` admits over HTTP.
async fn serve_for(parts: Parts, settings: TorchServeSettings, access: Access) -> Served {
    let repository =
        Repository::default().with("echo", TEXTS).with("numbers", &identity_config(4, "")).with("pair", PAIR);
    repository.write("broken.mar", "no archive");
    let archives = Archives::new(vec![repository.path().to_owned()], false, vec!["identity".to_owned()]);
    let location = RepositoryLocation::Remote(Arc::clone(&archives) as _);
    let (server, faults) =
        TestServer::start_with(repository, |settings| settings.repositories.push(location)).await;
    assert_eq!(faults, [""; 0]);
    let torchserve = TorchServe::new(Arc::clone(&server.core), archives, settings);
    let front = TorchServeHttpFront::new(Arc::clone(&torchserve), parts, access);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = listener.local_addr().unwrap();
    let port = |http1| Port { name: "torchserve", http1, http2: Http2::default(), counted: true };
    tokio::spawn(hippocamp_net::serve(listener, Arc::clone(&server.network), port(true), front));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let grpc = listener.local_addr().unwrap();
    let services = Services { inference: true, management: true };
    let front = TorchServeGrpcFront::new(torchserve, services, Access::open(), &server.network);
    tokio::spawn(hippocamp_net::serve(listener, Arc::clone(&server.network), port(false), front));
    Served { server, http, grpc }
}

fn open() -> TorchServeSettings {
    TorchServeSettings { enable_model_api: true, max_request_size: 100_000, ..TorchServeSettings::default() }
}

impl Served {
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> HttpReply {
        send(self.http, method, path, headers, body).await
    }

    async fn json(&self, method: &str, path: &str) -> (u16, Value) {
        let reply = self.ask(method, path, &[], b"").await;
        (reply.status, serde_json::from_slice(&reply.body).unwrap_or(Value::Null))
    }

    async fn stop(self) {
        assert!(self.server.stop(Duration::from_secs(10)).await);
    }
}

#[tokio::test]
async fn contents_are_predicted() {
    let served = serve(open()).await;
    for method in ["PUT", "POST", "GET"] {
        let reply = served.ask(method, "/predictions/echo", &[], b"\xffbytes").await;
        assert_eq!((reply.status, &*reply.body), (200, &b"\xffbytes"[..]), "{method}");
        let head = reply.head.to_ascii_lowercase();
        assert!(!head.contains("content-type") && head.contains("x-request-id: "), "{head}");
    }
    let reply = served
        .ask("PUT", "/predictions/echo/1", &[("Content-Type", "application/json")], b"{\"a\": 1}")
        .await;
    assert_eq!(reply.text(), "{\"a\": 1}");
    let form =
        b"--b\r\nContent-Disposition: form-data; name=\"data\"; filename=\"x\"\r\n\r\nfile\r\n--b--\r\n";
    let reply = served
        .ask("POST", "/predictions/echo", &[("Content-Type", "multipart/form-data; boundary=b")], form)
        .await;
    assert_eq!(reply.text(), "file");
    let reply = served
        .ask("POST", "/predictions/numbers", &[("Content-Type", "application/json")], b"[1, 2.5]")
        .await;
    assert_eq!(serde_json::from_slice::<Value>(&reply.body).unwrap(), json!([1.0, 2.5]));
    let reply = served
        .ask("POST", "/predictions/numbers", &[("Content-Type", "application/json")], b"[[1, 2], [3, 4]]")
        .await;
    assert_eq!(serde_json::from_slice::<Value>(&reply.body).unwrap(), json!([[1.0, 2.0], [3.0, 4.0]]));
    let reply = served.ask("POST", "/predictions/numbers", &[], &1.5f32.to_le_bytes()).await;
    assert_eq!(serde_json::from_slice::<Value>(&reply.body).unwrap(), json!([1.5]));
    let reply =
        served.ask("POST", "/predictions/pair", &[], br#"{"INPUT0": [1, -2], "INPUT1": [0.5]}"#).await;
    assert_eq!(
        serde_json::from_slice::<Value>(&reply.body).unwrap(),
        json!({"OUTPUT0": [1, -2], "OUTPUT1": [0.5]})
    );
    let reply =
        served.ask("POST", "/v1/models/numbers:predict", &[], br#"{"instances": [[1], [2], [3]]}"#).await;
    assert_eq!(
        serde_json::from_slice::<Value>(&reply.body).unwrap(),
        json!({"predictions": [[1.0], [2.0], [3.0]]})
    );
    let (status, health) = served.json("GET", "/ping").await;
    assert_eq!((status, health), (200, json!({"status": "Healthy"})));
    served.stop().await;
}

/// Method, path, and the failure.
const REFUSED: [(&str, &str, u16, &str, &str); 13] = [
    ("POST", "/predictions/nope", 404, "ModelNotFoundException", "Model not found: nope"),
    (
        "POST",
        "/predictions/echo/9",
        404,
        "ModelVersionNotFoundException",
        "Model version: 9 does not exist for model: echo",
    ),
    (
        "POST",
        "/predictions",
        404,
        "ResourceNotFoundException",
        "Requested resource is not found, please refer to API document.",
    ),
    (
        "PATCH",
        "/models/echo",
        405,
        "MethodNotAllowedException",
        "Requested method is not allowed, please refer to API document.",
    ),
    ("POST", "/models", 400, "BadRequestException", "Parameter url is required."),
    ("POST", "/models?url=nope.mar", 404, "ModelNotFoundException", "Model not found at: nope.mar"),
    (
        "POST",
        "/models?url=../echo.mar",
        404,
        "ModelNotFoundException",
        "Relative path is not allowed in url: ../echo.mar",
    ),
    ("GET", "/models/nope", 404, "ModelNotFoundException", "Model not found: nope"),
    (
        "GET",
        "/models/echo/7",
        404,
        "ModelVersionNotFoundException",
        "Model version: 7 does not exist for model: echo",
    ),
    (
        "PUT",
        "/models/echo?min_worker=2&max_worker=1",
        400,
        "BadRequestException",
        "max_worker cannot be less than min_worker.",
    ),
    (
        "PUT",
        "/models/echo/9/set-default",
        404,
        "ModelVersionNotFoundException",
        "Model version 9 does not exist for model echo",
    ),
    ("DELETE", "/models/nope", 404, "ModelNotFoundException", "Model not found: nope"),
    ("GET", "/invocations", 400, "BadRequestException", "Parameter model_name is required."),
];

#[tokio::test]
async fn failures_are_those_of_torchserve() {
    let served = serve(open()).await;
    for (method, path, status, kind, message) in REFUSED {
        let got = served.json(method, path).await;
        assert_eq!(
            got,
            (status, json!({"code": status, "type": kind, "message": message})),
            "{method} {path}"
        );
    }
    let (status, refused) = served.json("POST", "/models?url=broken.mar").await;
    assert_eq!((status, &refused["type"]), (400, &json!("InvalidModelException")));
    assert!(refused["message"].as_str().unwrap().contains("neither a zip file"), "{refused}");
    let (status, refused) = served.json("POST", "/explanations/echo").await;
    assert!(status == 400 && refused["message"].as_str().unwrap().contains("no explanations"), "{refused}");
    let reply = served.ask("POST", "/predictions/echo", &[], &vec![0; 200_000]).await;
    assert_eq!((reply.status, reply.body.len()), (413, 0));
    let reply =
        served.ask("POST", "/predictions/numbers", &[("Content-Type", "application/json")], b"[\"x\"]").await;
    assert!(reply.status == 400 && reply.text().contains("numbers of FP32"), "{}", reply.text());
    served.stop().await;
}

#[tokio::test]
async fn models_are_listed_described_and_scaled() {
    let served = serve(open()).await;
    let (_, page) = served.json("GET", "/models?limit=2").await;
    let names: Vec<_> =
        page["models"].as_array().unwrap().iter().map(|model| model["modelName"].clone()).collect();
    assert_eq!((names, &page["nextPageToken"]), (vec![json!("echo"), json!("numbers")], &json!("2")));
    let (_, page) = served.json("GET", "/models?limit=2&next_page_token=2").await;
    assert_eq!(page, json!({"models": [{"modelName": "pair", "modelUrl": "pair"}]}));
    let (status, done) = served.json("PUT", "/models/echo?min_worker=3&synchronous=true").await;
    assert_eq!((status, done), (200, json!({"status": "Workers scaled to 3 for model: echo"})));
    let (_, description) = served.json("GET", "/models/echo").await;
    assert_eq!(
        (&description[0]["minWorkers"], description[0]["workers"].as_array().unwrap().len()),
        (&json!(3), 3)
    );
    // Without workers a model of a repository is unloaded, and the answer comes when it is.
    let (status, done) = served.json("PUT", "/models/pair?min_worker=0&synchronous=true").await;
    assert_eq!((status, done), (200, json!({"status": "Workers scaled to 0 for model: pair"})));
    assert!(served.server.core.ready_versions("pair").is_empty());
    let (_, done) = served.json("DELETE", "/models/echo").await;
    assert_eq!(done, json!({"status": "Model \"echo\" unregistered"}));
    assert_eq!(served.json("POST", "/predictions/echo").await.0, 404);
    served.ask("POST", "/predictions/numbers", &[], &1.5f32.to_le_bytes()).await;
    let page = served.ask("GET", "/metrics", &[], b"").await.text();
    let counted = "ts_inference_requests_total{model_name=\"numbers\",model_version=\"default\",hostname=\"";
    assert!(page.contains(counted) && page.contains("Requests2XX{Level=\"Host\",Hostname=\""), "{page}");
    // Each name and version has waited by itself, and together they have what the model's own statistics say.
    served.ask("POST", "/predictions/numbers/1", &[], &1.5f32.to_le_bytes()).await;
    let page = served.ask("GET", "/metrics?name[]=ts_queue_latency_microseconds", &[], b"").await.text();
    let of_numbers = page.lines().filter(|line| line.contains("model_name=\"numbers\""));
    let waited: Vec<f64> = of_numbers.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    let statistics = served.server.core.ready_versions("numbers")[0].statistics.snapshot();
    let (rows, sum) = (waited.len(), (waited.iter().sum::<f64>() * 1000.0).round() as u64);
    assert_eq!((rows, sum), (2, statistics.queue.ns), "{page}");
    let (_, api) = served.json("OPTIONS", "/").await;
    assert!(api["paths"]["/models/{model_name}"]["put"].is_object());
    served.stop().await;
}

#[tokio::test]
async fn without_the_model_api_nothing_is_registered() {
    let served = serve(TorchServeSettings::default()).await;
    assert_eq!(served.json("POST", "/models?url=broken.mar").await.0, 405);
    assert_eq!(served.json("DELETE", "/models/echo").await.0, 405);
    let mut client = ManagementApIsServiceClient::connect(format!("http://{}", served.grpc)).await.unwrap();
    let refused = client.register_model(RegisterModelRequest::default()).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (tonic::Code::PermissionDenied, "Model API disabled"));
    served.stop().await;
}

#[tokio::test]
async fn tokens_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key_file.json");
    let tokens = Some(Tokens::create(&path, Duration::from_hours(1)).unwrap());
    let served = serve(TorchServeSettings { tokens, ..open() }).await;
    let keys: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let bearer = |kind: &str| format!("Bearer {}", keys[kind]["key"].as_str().unwrap());
    let (status, refused) = served.json("GET", "/ping").await;
    assert_eq!((status, &refused["type"]), (400, &json!("InvalidKeyException")));
    let headers = |value: &'static str| [("Authorization", value)];
    let inference: &'static str = bearer("inference").leak();
    assert_eq!(served.ask("POST", "/predictions/echo", &headers(inference), b"x").await.status, 200);
    assert_eq!(served.ask("GET", "/models", &headers(inference), b"").await.status, 400);
    let management: &'static str = bearer("management").leak();
    assert_eq!(served.ask("GET", "/models", &headers(management), b"").await.status, 200);
    let api: &'static str = bearer("API").leak();
    assert_eq!(served.ask("GET", "/token?type=inference", &headers(api), b"").await.status, 200);
    assert_eq!(served.ask("POST", "/predictions/echo", &headers(inference), b"x").await.status, 400);
    served.stop().await;
}

#[tokio::test]
async fn management_asks_for_tokens_beside_metrics_which_need_none() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = Tokens::create(&folder.path().join("key_file.json"), Duration::from_hours(1)).unwrap();
    let parts = Parts { inference: false, management: true, metrics: true };
    let served = serve_parts(parts, TorchServeSettings { tokens: Some(tokens), ..open() }).await;
    for (method, path) in [("GET", "/models"), ("GET", "/models/echo"), ("DELETE", "/models/echo")] {
        let (status, refused) = served.json(method, path).await;
        assert_eq!((status, &refused["type"]), (400, &json!("InvalidKeyException")), "{method} {path}");
    }
    assert_eq!(served.ask("GET", "/metrics", &[], b"").await.status, 200);
    served.stop().await;
}

#[tokio::test]
async fn descriptions_of_models_are_for_those_who_may_see_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key_file.json");
    let tokens = Some(Tokens::create(&path, Duration::from_hours(1)).unwrap());
    let keys: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let served = serve(TorchServeSettings { tokens, ..open() }).await;
    // What the port serves is no secret.
    assert_eq!(served.ask("OPTIONS", "/", &[], b"").await.status, 200);
    assert_eq!(served.ask("GET", "/api-description", &[], b"").await.status, 200);
    for (path, kind, other) in
        [("/predictions/echo", "inference", "management"), ("/models/echo", "management", "inference")]
    {
        let bearer = |kind: &str| format!("Bearer {}", keys[kind]["key"].as_str().unwrap());
        let status =
            async |key: &str| served.ask("OPTIONS", path, &[("Authorization", key)], b"").await.status;
        assert_eq!(served.json("OPTIONS", path).await.1["type"], "InvalidKeyException", "{path}");
        assert_eq!(status(&bearer(other)).await, 400, "{path}");
        assert_eq!(status(&bearer(kind)).await, 200, "{path}");
    }
    served.stop().await;

    let flags = ["inference:i=one", "model-repository:m=two"];
    let access = Access::new(Restrictions::from_flags(Protocol::Http, flags).unwrap(), None);
    let parts = Parts { inference: true, management: true, metrics: true };
    let served = serve_for(parts, open(), access).await;
    for (path, header, value) in [("/predictions/echo", "i", "one"), ("/models/echo", "m", "two")] {
        for model in ["echo", "nope"] {
            let path = path.replace("echo", model);
            assert_eq!(served.ask("OPTIONS", &path, &[], b"").await.status, 403, "{path}");
        }
        let headers = [(header, value)];
        let reply = served.ask("OPTIONS", path, &headers, b"").await;
        assert!(reply.status == 200 && reply.text().contains("/predictions/echo"), "{}", reply.text());
    }
    served.stop().await;
}

/// All tasks of server and client share the one thread of this test: what blocks it blocks all.
#[tokio::test]
async fn large_json_blocks_nobody() {
    let settings = TorchServeSettings { max_request_size: 10 << 20, ..open() };
    let served = serve(settings).await;
    let body = format!("{{\"instances\": [[{}1]]}}", "1,".repeat(1 << 20));
    let large = served.ask("POST", "/v1/models/numbers:predict", &[], body.as_bytes());
    let answered = Cell::new(0);
    let pings = async {
        loop {
            assert_eq!(served.ask("GET", "/ping", &[], b"").await.status, 200);
            answered.set(answered.get() + 1);
        }
    };
    let reply = tokio::select! {
        reply = large => reply,
        () = pings => unreachable!("it goes on for ever"),
    };
    assert_eq!(reply.status, 200);
    let rows: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(rows["predictions"][0].as_array().unwrap().len(), (1 << 20) + 1);
    assert!(answered.get() > 50, "{} others were answered meanwhile", answered.get());
    served.stop().await;
}

#[tokio::test]
async fn what_is_fetched_and_not_served_leaves_the_store() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = [0; 1024];
            let _ = socket.read(&mut head).await;
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nno archive";
            socket.write_all(answer).await.unwrap();
        }
    });
    let allowed = Allowed::matching(&format!("http://{address}/.*")).unwrap();
    let downloads = Downloads::new(allowed, 1000, Times::default());
    let served = serve(TorchServeSettings { downloads, ..open() }).await;
    let register = async |url: String| served.json("POST", &format!("/models?url={url}")).await;
    let (status, refused) = register(format!("http://{address}/new.mar")).await;
    assert_eq!((status, &refused["type"]), (400, &json!("InvalidModelException")), "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("neither a zip file"), "{refused}");
    assert!(!served.server.repository.path().join("new.mar").try_exists().unwrap());
    let text = "Model file already exists broken.mar";
    let expected = (500, json!({"code": 500, "type": "InternalServerException", "message": text}));
    assert_eq!(register(format!("http://{address}/broken.mar")).await, expected);
    let text = "Given URL http://other.example/new.mar does not match any allowed URL(s)";
    let expected = (404, json!({"code": 404, "type": "ModelNotFoundException", "message": text}));
    assert_eq!(register("http://other.example/new.mar".to_owned()).await, expected);
    let (status, refused) = register("file:///etc/passwd.mar".to_owned()).await;
    assert_eq!((status, &refused["type"]), (400, &json!("DownloadArchiveException")), "{refused}");
    served.stop().await;
}

#[tokio::test]
async fn grpc_predicts_and_manages() {
    let served = serve(open()).await;
    let address = format!("http://{}", served.grpc);
    let mut client = InferenceApIsServiceClient::connect(address.clone()).await.unwrap();
    let health = client.ping(Empty {}).await.unwrap().into_inner().health;
    assert_eq!(health, "{\n  \"status\": \"Healthy\"\n}\n");
    let request = |model: &str| PredictionsRequest {
        model_name: model.to_owned(),
        input: [("data".to_owned(), Bytes::from_static(b"picture"))].into(),
        ..PredictionsRequest::default()
    };
    let answer = client.predictions(request("echo")).await.unwrap().into_inner();
    assert_eq!(&*answer.prediction, b"picture");
    let refused = client.predictions(request("nope")).await.unwrap_err();
    let text = "Model not found: nope\norg.pytorch.serve.archive.model.ModelNotFoundException";
    assert_eq!((refused.code(), refused.message()), (tonic::Code::Internal, text));
    let mut stream = client.stream_predictions(request("echo")).await.unwrap().into_inner();
    assert_eq!(&*stream.next().await.unwrap().unwrap().prediction, b"picture");
    assert!(stream.next().await.is_none());
    let requests = tokio_stream::iter([request("echo"), request("nope"), request("echo")]);
    let answers: Vec<_> = client.stream_predictions2(requests).await.unwrap().into_inner().collect().await;
    let failed: Vec<bool> = answers.into_iter().map(|answer| answer.unwrap().status.is_some()).collect();
    assert_eq!(failed, [false, true, false]);
    let mut client = ManagementApIsServiceClient::connect(address).await.unwrap();
    let list = client.list_models(ListModelsRequest::default()).await.unwrap().into_inner().msg;
    assert_eq!(serde_json::from_str::<Value>(&list).unwrap(), json!({"nextPageToken": "0", "models": []}));
    served.stop().await;
}

/// What is no request ends the stream with an error, and not as if its client had ended it.
#[tokio::test]
async fn a_message_that_cannot_be_read_ends_a_stream_with_the_reason() {
    let served = serve(open()).await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", served.grpc)).unwrap();
    let mut client = tonic::client::Grpc::new(channel.connect().await.unwrap());
    client.ready().await.unwrap();
    // Its first field is a number, where that of a request is the model's name.
    let message = ListModelsRequest { limit: 7, ..ListModelsRequest::default() };
    let path = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/StreamPredictions2";
    let codec = MessageCodec::<ListModelsRequest, PredictionResponse>::default();
    let requests = tonic::Request::new(tokio_stream::once(message));
    let replies = client.streaming(requests, path.parse().unwrap(), codec).await.unwrap();
    let broken = replies.into_inner().next().await.unwrap().unwrap_err();
    assert!(broken.message().contains("decode"), "{broken:?}");
    served.stop().await;
}

#[tokio::test]
async fn an_idle_stream_does_not_hold_up_the_end() {
    let served = serve(open()).await;
    let mut client = InferenceApIsServiceClient::connect(format!("http://{}", served.grpc)).await.unwrap();
    let (requests, stream) = tokio::sync::mpsc::channel(1);
    let request = PredictionsRequest {
        model_name: "echo".to_owned(),
        input: [("data".to_owned(), Bytes::from_static(b"text"))].into(),
        ..PredictionsRequest::default()
    };
    requests.send(request).await.unwrap();
    let stream = tokio_stream::wrappers::ReceiverStream::new(stream);
    let mut replies = client.stream_predictions2(stream).await.unwrap().into_inner();
    assert_eq!(&*replies.next().await.unwrap().unwrap().prediction, b"text");
    let (end, ()) = tokio::join!(replies.next(), served.stop());
    assert!(end.is_none(), "it ends with OK");
    drop(requests);
}
