//! KServe v2 over HTTP, with binary tensors where the server takes them.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;

use hippocamp_tensor::DataType;

use crate::access::Headers;
use crate::answer::{Answer, Metadata, Parameter, Request, Tensor, TensorInfo};
use crate::failure::{Failure, Result, fail};
use crate::plain_json;
use crate::server::{Target, unreachable};

/// The header with the length of the JSON before the binary tensors.
pub const HEADER_LENGTH: &str = "inference-header-content-length";

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct HttpServer {
    address: String,
    connection: SendRequest<Full<Bytes>>,
    timeout: Duration,
    headers: Headers,
    /// Whether the server takes binary tensors, once it was asked.
    takes_binary: Option<bool>,
}

/// The JSON of a response, and the binary data after it.
type Parts = (Value, Bytes);

impl HttpServer {
    pub(crate) async fn connect(address: &str, limit: Duration, headers: &Headers) -> Result<HttpServer> {
        let stream = timeout(limit, TcpStream::connect(address))
            .await
            .map_err(|_| unreachable(address, "no answer in time"))?
            .map_err(|why| unreachable(address, why))?;
        drop(stream.set_nodelay(true));
        let (connection, driver) =
            handshake(TokioIo::new(stream)).await.map_err(|why| unreachable(address, why))?;
        tokio::spawn(driver);
        let (address, headers) = (address.to_owned(), headers.clone());
        Ok(HttpServer { address, connection, timeout: limit, headers, takes_binary: None })
    }

    pub(crate) async fn metadata(&mut self, target: &Target) -> Result<Metadata> {
        let (body, _) = self.send(Method::GET, &path(target, ""), Bytes::new(), None).await?;
        check_object(&body)?;
        Ok(Metadata { inputs: infos(&body["inputs"])?, outputs: infos(&body["outputs"])? })
    }

    /// The names of the models that are ready.
    pub(crate) async fn index(&mut self) -> Result<Vec<String>> {
        let body = Bytes::from_static(br#"{"ready":true}"#);
        let (body, _) = self.send(Method::POST, "/v2/repository/index", body, None).await?;
        let models = body.as_array().into_iter().flatten();
        Ok(models.filter_map(|model| Some(model["name"].as_str()?.to_owned())).collect())
    }

    pub(crate) async fn infer(&mut self, target: &Target, request: &Request) -> Result<Answer> {
        let path = path(target, "/infer");
        let (json, mut rest) = if self.takes_binary().await {
            let header = header(request).to_string();
            let mut body = BytesMut::from(header.as_bytes());
            request.inputs.iter().for_each(|tensor| body.extend_from_slice(&tensor.data));
            self.send(Method::POST, &path, body.freeze(), Some(header.len())).await?
        } else {
            let data = request.inputs.iter().map(plain_json::data).collect::<Result<Vec<_>>>()?;
            let body = plain(request, &data).to_string();
            self.send(Method::POST, &path, body.into(), None).await?
        };
        check_object(&json)?;
        let mut answer = Answer {
            model: text(&json, "model_name"),
            version: text(&json, "model_version"),
            ..Answer::default()
        };
        for output in json["outputs"].as_array().into_iter().flatten() {
            let info = info(output)?;
            let size =
                output["parameters"]["binary_data_size"].as_u64().and_then(|size| usize::try_from(size).ok());
            let data = match (size, output.get("data")) {
                (Some(size), _) if size <= rest.len() => rest.split_to(size),
                (None, Some(data)) => plain_json::bytes(&info, data)?,
                _ => fail!("the server's answer lacks the bytes of output '{}'", info.name),
            };
            answer.outputs.push(Tensor {
                name: info.name,
                data_type: info.data_type,
                shape: info.shape,
                data,
            });
        }
        Ok(answer)
    }

    /// Whether the server lists binary tensors among its extensions. One that does not answer that is asked with them.
    pub(crate) async fn takes_binary(&mut self) -> bool {
        if let Some(known) = self.takes_binary {
            return known;
        }
        let server = self.send(Method::GET, "/v2", Bytes::new(), None).await;
        let extensions = server.ok().and_then(|(json, _)| Some(json.get("extensions")?.as_array()?.clone()));
        let takes = extensions.is_none_or(|all| all.iter().any(|name| name == "binary_tensor_data"));
        self.takes_binary = Some(takes);
        takes
    }

    pub(crate) async fn register_shared_memory(&mut self, name: &str, key: &str, size: u64) -> Result<()> {
        let body = json!({"key": key, "offset": 0, "byte_size": size}).to_string();
        let path = format!("/v2/systemsharedmemory/region/{}/register", escaped(name));
        self.send(Method::POST, &path, body.into(), None).await.map(drop)
    }

    pub(crate) async fn unregister_shared_memory(&mut self, name: &str) -> Result<()> {
        let path = format!("/v2/systemsharedmemory/region/{}/unregister", escaped(name));
        self.send(Method::POST, &path, Bytes::new(), None).await.map(drop)
    }

    pub(crate) async fn register_cuda_shared_memory(
        &mut self,
        name: &str,
        handle: &[u8],
        gpu: i32,
        size: u64,
    ) -> Result<()> {
        let handle = json!({"b64": STANDARD.encode(handle)});
        let body = json!({"raw_handle": handle, "device_id": gpu, "byte_size": size}).to_string();
        let path = format!("/v2/cudasharedmemory/region/{}/register", escaped(name));
        self.send(Method::POST, &path, body.into(), None).await.map(drop)
    }

    pub(crate) async fn unregister_cuda_shared_memory(&mut self, name: &str) -> Result<()> {
        let path = format!("/v2/cudasharedmemory/region/{}/unregister", escaped(name));
        self.send(Method::POST, &path, Bytes::new(), None).await.map(drop)
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
        header: Option<usize>,
    ) -> Result<Parts> {
        let mut request = hyper::Request::builder().method(method).uri(path).header(HOST, &self.address);
        request = match header {
            Some(length) => {
                request.header(HEADER_LENGTH, length).header(CONTENT_TYPE, "application/octet-stream")
            }
            None => request.header(CONTENT_TYPE, "application/json"),
        };
        for (name, value) in self.headers.map() {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body)).map_err(|why| Failure::new(format!("{path}: {why}")))?;
        let exchange = async {
            // The connection may need a moment after a response before it accepts the next request.
            self.connection.ready().await?;
            let answer = self.connection.send_request(request).await?;
            let (head, body) = answer.into_parts();
            Ok::<_, hyper::Error>(Response::from_parts(head, body.collect().await?.to_bytes()))
        };
        let answer = match timeout(self.timeout, exchange).await {
            Err(_) => fail!("no answer from {} in {:?}; --timeout allows more", self.address, self.timeout),
            Ok(Err(why)) => return Err(self.failed(&why)),
            Ok(Ok(answer)) => answer,
        };
        read(answer)
    }
}

impl HttpServer {
    /// The failure for a connection that gave no valid response.
    fn failed(&self, why: &hyper::Error) -> Failure {
        Failure::new(format!(
            "{} takes the connection, but does not answer as an HTTP server does: {why}\nHTTP is on port 8000 by default, \
             gRPC on 8001 (--protocol grpc)",
            self.address
        ))
    }
}

/// Fails if an answer is none of KServe v2, as that of another service at the same place.
fn check_object(json: &Value) -> Result<()> {
    if json.is_object() {
        return Ok(());
    }
    fail!("what the server answers is no object of JSON; does it speak KServe v2?")
}

fn read(answer: Response<Bytes>) -> Result<Parts> {
    let length = answer.headers().get(HEADER_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let (head, mut body) = answer.into_parts();
    let rest = body.split_off(length.unwrap_or(body.len()).min(body.len()));
    let read = serde_json::from_slice(&body);
    if head.status.is_success() {
        return match read {
            Ok(json) => Ok((json, rest)),
            Err(_) if body.is_empty() => Ok((Value::Null, rest)),
            Err(_) => fail!("what the server answers is no JSON; does it speak KServe v2?"),
        };
    }
    let json: Value = read.unwrap_or_default();
    // `detail` is what FastAPI says it by, and so MLServer and KServe.
    match (&json["error"], &json["detail"]) {
        (Value::String(error), _) | (_, Value::String(error)) => fail!("{error}"),
        (_, Value::Null) => fail!("the server answers {}; does it speak KServe v2?", head.status),
        (_, detail) => fail!("the server answers {}: {detail}", head.status),
    }
}

/// The URL path of a model, followed by `action`.
pub fn path(target: &Target, action: &str) -> String {
    let version = if target.version.is_empty() {
        String::new()
    } else {
        format!("/versions/{}", escaped(&target.version))
    };
    format!("/v2/models/{}{version}{action}", escaped(&target.model))
}

/// Percent-encodes a path segment.
fn escaped(name: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    name.bytes().map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// The JSON of a request, which its binary tensors follow.
pub fn header(request: &Request) -> Value {
    let mut header = without_data(request);
    for (input, tensor) in inputs_of(&mut header).zip(&request.inputs) {
        input["parameters"] = json!({"binary_data_size": tensor.data.len()});
    }
    header["parameters"]["binary_data_output"] = json!(true);
    for output in header.get_mut("outputs").and_then(Value::as_array_mut).into_iter().flatten() {
        output["parameters"] = json!({"binary_data": true});
    }
    header
}

/// The JSON of a request, with the data of its inputs in it.
pub fn plain(request: &Request, data: &[Vec<Value>]) -> Value {
    let mut header = without_data(request);
    for (input, data) in inputs_of(&mut header).zip(data) {
        input["data"] = data.clone().into();
    }
    header
}

fn inputs_of(header: &mut Value) -> impl Iterator<Item = &mut Value> {
    header["inputs"].as_array_mut().into_iter().flatten()
}

/// What a request says beside the data of its tensors.
fn without_data(request: &Request) -> Value {
    let inputs: Vec<Value> = request
        .inputs
        .iter()
        .map(|tensor| {
            json!({
                "name": tensor.name,
                "datatype": tensor.data_type.protocol_name(),
                "shape": tensor.shape,
            })
        })
        .collect();
    let mut parameters = Map::new();
    for (key, value) in &request.parameters {
        let value = match value {
            Parameter::Bool(value) => json!(value),
            Parameter::Int(value) => json!(value),
            Parameter::Double(value) => json!(value),
            Parameter::String(value) => json!(value),
        };
        parameters.insert(key.clone(), value);
    }
    let mut header = json!({"inputs": inputs, "parameters": parameters});
    if !request.outputs.is_empty() {
        header["outputs"] = request.outputs.iter().map(|name| json!({"name": name})).collect();
    }
    header
}

fn text(json: &Value, key: &str) -> String {
    json[key].as_str().unwrap_or_default().to_owned()
}

fn infos(list: &Value) -> Result<Vec<TensorInfo>> {
    list.as_array().into_iter().flatten().map(info).collect()
}

fn info(json: &Value) -> Result<TensorInfo> {
    let name = text(json, "name");
    let data_type = text(json, "datatype");
    let Some(data_type) = DataType::from_protocol_name(&data_type) else {
        fail!("the server gives '{name}' a data type that is not known: '{data_type}'");
    };
    let shape = json["shape"].as_array().into_iter().flatten().filter_map(Value::as_i64).collect();
    Ok(TensorInfo { name, data_type, shape })
}
