//! Requests against a server in process, most of them without a socket.

mod bodies;
mod endpoints;
mod errors;
mod gate;
mod generate;
mod infer;
mod repository;
mod shared_memory;
mod sockets;

use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use hippocamp_backend::Backend;
use hippocamp_core::{ControlMode, InferenceServer, Settings};
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request};
use serde_json::Value;
use tempfile::TempDir;

use crate::{HttpFront, HttpSettings};

/// Models of the backends that need no file: name and config.
const MODELS: [(&str, &str); 10] = [
    ("pair", PAIR),
    (
        "fp32",
        r#"backend: "identity" input { name: "INPUT0" data_type: TYPE_FP32 dims: -1 }
        output { name: "OUTPUT0" data_type: TYPE_FP32 dims: -1 }"#,
    ),
    (
        "fp16",
        r#"backend: "identity" input { name: "INPUT0" data_type: TYPE_FP16 dims: -1 }
        output { name: "OUTPUT0" data_type: TYPE_FP16 dims: -1 }"#,
    ),
    (
        "bytes",
        r#"backend: "identity" input { name: "INPUT0" data_type: TYPE_STRING dims: -1 }
        output { name: "OUTPUT0" data_type: TYPE_STRING dims: -1 }"#,
    ),
    (
        "one_text",
        r#"backend: "identity" input { name: "INPUT0" data_type: TYPE_STRING dims: 1 }
        output { name: "OUTPUT0" data_type: TYPE_STRING dims: 1 }"#,
    ),
    (
        "batch",
        r#"backend: "identity" max_batch_size: 4 input { name: "INPUT0" data_type: TYPE_FP32 dims: 2 }
        output { name: "OUTPUT0" data_type: TYPE_FP32 dims: 2 label_filename: "labels.txt" }"#,
    ),
    (
        "optional",
        r#"backend: "identity"
        input [ { name: "INPUT0" data_type: TYPE_FP32 dims: 2 optional: true },
                { name: "INPUT1" data_type: TYPE_FP32 dims: 2 optional: true } ]
        output [ { name: "OUTPUT0" data_type: TYPE_FP32 dims: 2 }, { name: "OUTPUT1" data_type: TYPE_FP32 dims: 2 } ]"#,
    ),
    (
        "many",
        r#"backend: "repeat" input { name: "IN" data_type: TYPE_INT32 dims: 1 }
        output { name: "OUT" data_type: TYPE_INT32 dims: 1 } model_transaction_policy { decoupled: true }"#,
    ),
    (
        "fails",
        r#"backend: "fail" input { name: "IN" data_type: TYPE_INT32 dims: 1 }
        output { name: "OUT" data_type: TYPE_INT32 dims: 1 }"#,
    ),
    (
        "gate",
        r#"backend: "gate" input { name: "INPUT0" data_type: TYPE_UINT8 dims: -1 }
        output { name: "OUTPUT0" data_type: TYPE_UINT8 dims: -1 }"#,
    ),
];

const PAIR: &str = r#"backend: "identity" max_batch_size: 8
    input [ { name: "INPUT0" data_type: TYPE_INT32 dims: 2 }, { name: "INPUT1" data_type: TYPE_INT32 dims: 2 } ]
    output [ { name: "OUTPUT0" data_type: TYPE_INT32 dims: 2 }, { name: "OUTPUT1" data_type: TYPE_INT32 dims: 2 } ]"#;

/// A server with models, and a front for it.
struct Fixture {
    front: HttpFront,
    gate: gate::Gate,
    _repository: TempDir,
}

/// What came back.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Fixture {
    /// In explicit mode, with every model loaded; models named in `later` are only there.
    async fn new(later: &[(&str, &str)]) -> Fixture {
        let repository = TempDir::new().unwrap();
        for (name, config) in MODELS.iter().chain(later) {
            let folder = repository.path().join(name);
            fs::create_dir_all(folder.join("1")).unwrap();
            fs::write(folder.join("config.pbtxt"), config).unwrap();
            fs::write(folder.join("labels.txt"), "cat\ndog\n").unwrap();
        }
        let settings = Settings {
            repositories: vec![repository.path().into()],
            control_mode: ControlMode::Explicit,
            allow_client_shm: true,
            load_models: MODELS.iter().map(|(name, _)| (*name).to_owned()).collect(),
            ..Settings::default()
        };
        let gate = gate::Gate::default();
        let mut backends = hippocamp_backend_builtin::backends();
        backends.push(Arc::new(gate.clone()) as Arc<dyn Backend>);
        let server = InferenceServer::new(settings, backends);
        let faults = server.load_repositories().await;
        assert!(faults.is_empty(), "{faults:?}");
        server.begin_serving();
        Fixture { front: HttpFront::new(server, HttpSettings::default()), gate, _repository: repository }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.front.respond(request.body(Full::new(body.into())).unwrap()).await;
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    async fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body.to_owned()).await
    }

    async fn infer(&self, model: &str, body: &str) -> Answer {
        self.post(&format!("/v2/models/{model}/infer"), body).await
    }

    /// A request whose tensors follow its JSON.
    async fn infer_binary(&self, model: &str, json: &str, tensors: &[u8]) -> Answer {
        let length = json.len().to_string();
        let headers = [(LENGTH, length.as_str())];
        let body = [json.as_bytes(), tensors].concat();
        self.send("POST", &format!("/v2/models/{model}/infer"), &headers, body).await
    }
}

const LENGTH: &str = "inference-header-content-length";

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/json");
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The JSON of a successful answer.
    #[track_caller]
    fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }

    /// The JSON part of an answer with tensors behind it, and those.
    #[track_caller]
    fn ok_binary(&self) -> (Value, &[u8]) {
        assert_eq!(self.status, 200, "{}", self.text());
        assert_eq!(self.headers["content-type"], "application/octet-stream");
        let length = self.headers[LENGTH].to_str().unwrap().parse().unwrap();
        let (json, tensors) = self.body.split_at(length);
        (serde_json::from_slice(json).unwrap(), tensors)
    }

    #[track_caller]
    fn refused(&self, status: u16, text: &str) {
        let value = self.json();
        assert_eq!((self.status, value["error"].as_str()), (status, Some(text)));
        assert_eq!(value.as_object().unwrap().len(), 1);
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The JSON of an input of type INT32 or FP32.
fn input(name: &str, data_type: &str, shape: &str, data: &str) -> String {
    format!(r#"{{"name":"{name}","shape":{shape},"datatype":"{data_type}","data":{data}}}"#)
}

/// A request to the model `pair` with further members, which begin with a comma.
fn pair(members: &str) -> String {
    let inputs = [input("INPUT0", "INT32", "[1,2]", "[1,2]"), input("INPUT1", "INT32", "[1,2]", "[3,-4]")];
    format!(r#"{{"inputs":[{}]{members}}}"#, inputs.join(","))
}

fn binary_input(name: &str, data_type: &str, shape: &str, size: usize) -> String {
    format!(
        r#"{{"name":"{name}","shape":{shape},"datatype":"{data_type}","parameters":{{"binary_data_size":{size}}}}}"#
    )
}
