//! Sends a message to the collector, and says whether to try again.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::BodyExt;
use prost::Message;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, TE};
use reqwest::{Certificate, Client, StatusCode, Url, redirect};
use thiserror::Error;

use crate::messages::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use crate::{ExportSettings, Transport};

/// The path of the call of gRPC.
const CALL: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// How many bytes of a collector's answer are read.
const LONGEST_ANSWER: usize = 64 << 10;

/// The connection to a collector.
#[derive(Debug)]
pub(crate) struct Collector {
    client: Client,
    url: Url,
    transport: Transport,
    headers: HeaderMap,
    gzip: bool,
}

/// Why a message did not arrive.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// It may arrive later, after that time if the collector said so.
    #[error("{text}")]
    Later { text: String, after: Option<Duration> },
    /// The collector does not want it.
    #[error("{0}")]
    Never(String),
}

impl Collector {
    pub(crate) fn new(settings: &ExportSettings) -> Result<Collector, String> {
        // An error says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder()
            .user_agent(concat!("hippocamp/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none());
        if settings.transport == Transport::Grpc {
            client = client.http2_prior_knowledge();
        }
        if let Some(path) = &settings.certificates {
            let read = || {
                let pem = std::fs::read(path).map_err(|why| why.to_string())?;
                Certificate::from_pem_bundle(&pem).map_err(|why| describe(&why))
            };
            let certificates = read().map_err(|why| format!("certificates '{}': {why}", path.display()))?;
            client = client.tls_certs_only(certificates);
        } else if settings.endpoint.scheme() == "http" {
            // Those of the system are not looked for where none are needed.
            client = client.tls_certs_only([]);
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.headers {
            let name: HeaderName = name.parse().map_err(|_| format!("'{name}' is no name of a header"))?;
            let mut value = HeaderValue::from_str(value)
                .map_err(|_| format!("the header '{name}' has no valid value"))?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        let mut url = settings.endpoint.clone();
        if settings.transport == Transport::Grpc {
            url.set_path(CALL);
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            headers.insert(TE, HeaderValue::from_static("trailers"));
        } else {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        }
        if settings.gzip {
            let name = match settings.transport {
                Transport::Http => CONTENT_ENCODING,
                Transport::Grpc => HeaderName::from_static("grpc-encoding"),
            };
            headers.insert(name, HeaderValue::from_static("gzip"));
        }
        let client = client.build().map_err(|why| describe(&why))?;
        Ok(Collector { client, url, transport: settings.transport, headers, gzip: settings.gzip })
    }

    /// The body of a request, which may be sent more than once.
    pub(crate) fn body(&self, message: &ExportTraceServiceRequest) -> Bytes {
        let mut content = message.encode_to_vec();
        if self.gzip {
            content = compressed(&content);
        }
        match self.transport {
            Transport::Http => content.into(),
            Transport::Grpc => {
                let mut frame = BytesMut::with_capacity(5 + content.len());
                frame.put_u8(u8::from(self.gzip));
                frame.put_u32(content.len() as u32);
                frame.put_slice(&content);
                frame.freeze()
            }
        }
    }

    /// Sends a body. Returns what the collector says of spans that it did not take.
    pub(crate) async fn send(&self, body: Bytes) -> Result<Option<String>, Failure> {
        let request = self.client.post(self.url.clone()).headers(self.headers.clone()).body(body);
        let response = request.send().await.map_err(|why| later(describe(&why)))?;
        let status = response.status();
        let (head, body) = reqwest_parts(response);
        let after = head.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let (content, trailers) = read(body).await?;
        if status != StatusCode::OK {
            let text = format!("the collector answered {status}: {}", shown(&content));
            return Err(if matches!(status.as_u16(), 429 | 502 | 503 | 504) {
                Failure::Later { text, after: after.map(Duration::from_secs) }
            } else {
                Failure::Never(text)
            });
        }
        let answer = match self.transport {
            Transport::Http => Some(&*content),
            Transport::Grpc => {
                // Where there is no message, the trailers are the head.
                ended_well(trailers.as_ref().unwrap_or(&head))?;
                content.get(5..)
            }
        };
        let answer = answer.and_then(|answer| ExportTraceServiceResponse::decode(answer).ok());
        let partial = answer.and_then(|answer| answer.partial_success);
        let refused =
            partial.filter(|partial| partial.rejected_spans > 0 || !partial.error_message.is_empty());
        Ok(refused.map(|partial| {
            format!("{} spans were rejected: {}", partial.rejected_spans, partial.error_message)
        }))
    }
}

fn reqwest_parts(response: reqwest::Response) -> (HeaderMap, reqwest::Body) {
    let headers = response.headers().clone();
    (headers, response.into())
}

/// The body of an answer up to its limit, and the trailers.
async fn read(mut body: reqwest::Body) -> Result<(Vec<u8>, Option<HeaderMap>), Failure> {
    let (mut content, mut trailers) = (Vec::new(), None);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|why| later(describe(&why)))?;
        match frame.into_data() {
            Ok(data) => {
                let room = LONGEST_ANSWER.saturating_sub(content.len());
                content.extend_from_slice(&data[..data.len().min(room)]);
            }
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok((content, trailers))
}

/// Reads the status of a call.
fn ended_well(trailers: &HeaderMap) -> Result<(), Failure> {
    let text = |name| trailers.get(name).and_then(|value| value.to_str().ok());
    let code: Option<u32> = text("grpc-status").and_then(|code| code.parse().ok());
    let message = text("grpc-message").unwrap_or_default();
    match code {
        Some(0) => Ok(()),
        // CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS.
        Some(code @ (1 | 4 | 8 | 10 | 11 | 14 | 15)) => {
            Err(later(format!("the collector answered with status {code} of gRPC: {message}")))
        }
        Some(code) => {
            Err(Failure::Never(format!("the collector answered with status {code} of gRPC: {message}")))
        }
        None => Err(Failure::Never(
            "the collector answered without a status of gRPC; is it a port for HTTP?".to_owned(),
        )),
    }
}

fn later(text: String) -> Failure {
    Failure::Later { text, after: None }
}

/// The error with what caused it, which reqwest leaves out.
fn describe(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// The beginning of an answer as text.
fn shown(content: &[u8]) -> String {
    const SHOWN: usize = 200;
    String::from_utf8_lossy(&content[..content.len().min(SHOWN)]).into_owned()
}

fn compressed(content: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing to a vector does not fail.
    let _ = encoder.write_all(content);
    encoder.finish().unwrap_or_default()
}
