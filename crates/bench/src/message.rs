//! Requests as bytes, encoded before they are sent.

mod in_memory;

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use hippocamp_client::{
    HEADER_LENGTH, Headers, Parameter, Request, Target, Tensor, grpc_message, http_header, http_path,
    http_plain,
};
use prost::Message;
use serde_json::Value;

use crate::sequence::Step;
use crate::shared_memory::SharedMemory;

/// Asks a decoupled model for a last response that has no outputs, if it has none with them.
const EMPTY_FINAL_RESPONSE: &str = "triton_enable_empty_final_response";

/// The length of the prefix of a gRPC message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// How requests are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Http,
    Grpc,
    /// As messages of a stream.
    Stream,
    /// Not at all: the model is in this process.
    Local,
}

/// What is asked, and in which encoding.
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    pub(crate) encoding: Encoding,
    /// The server's name in requests, `HOST:PORT`.
    pub(crate) authority: String,
    /// What each request says of who sends it.
    pub(crate) headers: Headers,
    pub(crate) target: Target,
    pub(crate) request: Request,
    /// Where tensors are that are not in the message.
    pub(crate) memory: Option<Arc<SharedMemory>>,
    /// The data of the inputs for a server over HTTP that takes JSON alone.
    pub(crate) plain: Option<Arc<[Vec<Value>]>>,
}

impl Encoder {
    /// The request of a worker, at its place of a sequence if it belongs to one.
    pub(crate) fn encode(&self, worker: u32, step: Option<Step>) -> Bytes {
        let mut request = self.request.clone();
        let parameters = step.iter().flat_map(Step::parameters);
        request.parameters.extend(parameters.map(|(key, value)| (key.to_owned(), value)));
        match self.encoding {
            Encoding::Http => self.http(&request, worker),
            Encoding::Grpc => self.grpc(&request, worker),
            Encoding::Stream => {
                // So that the last response of a decoupled model can be told.
                request.parameters.push((EMPTY_FINAL_RESPONSE.to_owned(), Parameter::Bool(true)));
                self.grpc(&request, worker)
            }
            Encoding::Local => Bytes::new(),
        }
    }

    fn grpc(&self, request: &Request, worker: u32) -> Bytes {
        let mut message = grpc_message(&self.target, request);
        if let Some(memory) = &self.memory {
            in_memory::of_message(&mut message, memory, worker);
        }
        let length = message.encoded_len();
        let mut bytes = BytesMut::with_capacity(PREFIX + length);
        bytes.put_u8(0);
        bytes.put_u32(length as u32);
        message.encode_raw(&mut bytes);
        bytes.freeze()
    }

    fn http(&self, request: &Request, worker: u32) -> Bytes {
        if let (Some(plain), None) = (&self.plain, &self.memory) {
            return self.http_message("application/json", &http_plain(request, plain).to_string(), None, &[]);
        }
        let mut json = http_header(request);
        let mut tensors = request.inputs.as_slice();
        if let Some(memory) = &self.memory {
            in_memory::of_json(&mut json, memory, worker);
            tensors = &[];
        }
        let json = json.to_string();
        self.http_message("application/octet-stream", &json, Some(json.len()), tensors)
    }

    /// JSON with tensors behind it, whose length is said if there may be any.
    fn http_message(&self, kind: &str, json: &str, header: Option<usize>, tensors: &[Tensor]) -> Bytes {
        let length = json.len() + tensors.iter().map(|tensor| tensor.data.len()).sum::<usize>();
        let header = header.map_or(String::new(), |length| format!("{HEADER_LENGTH}: {length}\r\n"));
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: {kind}\r\n{header}{}Content-Length: {length}\r\n\r\n",
            http_path(&self.target, "/infer"),
            self.authority,
            self.headers.lines(),
        );
        let mut bytes = BytesMut::with_capacity(head.len() + length);
        bytes.put(head.as_bytes());
        bytes.put(json.as_bytes());
        for tensor in tensors {
            bytes.put(&*tensor.data);
        }
        bytes.freeze()
    }
}

#[cfg(test)]
mod tests {
    use hippocamp_client::plain_data;
    use hippocamp_tensor::DataType;

    use super::*;

    fn encoder(encoding: Encoding) -> Encoder {
        let data = Bytes::from_static(&[0, 0, 0x80, 0x3f]);
        let input = Tensor { name: "X".to_owned(), data_type: DataType::Fp32, shape: vec![1], data };
        Encoder {
            encoding,
            authority: "host:1".to_owned(),
            headers: Headers::default(),
            target: Target { model: "m".to_owned(), version: String::new() },
            request: Request {
                inputs: vec![input],
                outputs: Vec::new(),
                parameters: vec![("k".to_owned(), Parameter::Int(7))],
            },
            memory: None,
            plain: None,
        }
    }

    #[test]
    fn an_http_request_is_complete() {
        let bytes = encoder(Encoding::Http).encode(0, Some(Step { id: 9, is_first: true, is_last: false }));
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /v2/models/m/infer HTTP/1.1\r\nHost: host:1\r\n"), "{head}");
        let number = |name: &str| {
            let line = head.lines().find(|line| line.starts_with(name)).unwrap();
            line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()
        };
        let rest = bytes.len() - head.len() - 4;
        assert_eq!((number("Content-Length"), number(HEADER_LENGTH)), (rest, rest - 4));
        assert!(body.contains(r#""sequence_id":9"#) && body.contains(r#""sequence_start":true"#), "{body}");
        assert!(body.contains(r#""k":7"#) && body.contains(r#""shape":[1]"#), "{body}");
        assert!(bytes.ends_with(&[b'}', 0, 0, 0x80, 0x3f]));
    }

    #[test]
    fn a_server_that_takes_json_alone_gets_the_numbers() {
        let mut encoder = encoder(Encoding::Http);
        encoder.plain = Some(encoder.request.inputs.iter().map(|input| plain_data(input).unwrap()).collect());
        let bytes = encoder.encode(0, None);
        let text = std::str::from_utf8(&bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("Content-Type: application/json") && !head.contains(HEADER_LENGTH), "{head}");
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{head}");
        let json: Value = serde_json::from_str(body).unwrap();
        assert_eq!(json["inputs"][0]["data"][0].as_f64(), Some(1.0));
        assert!(!body.contains("binary"), "{body}");
    }

    #[test]
    fn a_grpc_request_has_its_length_before_it() {
        let bytes = encoder(Encoding::Grpc).encode(0, None);
        assert_eq!(bytes[0], 0);
        assert_eq!(u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize, bytes.len() - 5);
    }
}
