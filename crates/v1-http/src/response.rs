//! Responses: the status of HTTP that belongs to a request's status, the headers, and the three forms of a body.

use hippocamp_http_content::{JSON, ResponseBody, empty, ok};
use hippocamp_proto::v1::{RequestStatus, RequestStatusCode};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};
use prost::Message;

use crate::text;

pub(crate) const NV_STATUS: HeaderName = HeaderName::from_static("nv-status");
pub(crate) const NV_INFER_REQUEST: HeaderName = HeaderName::from_static("nv-inferrequest");
pub(crate) const NV_INFER_RESPONSE: HeaderName = HeaderName::from_static("nv-inferresponse");

const OCTET_STREAM: HeaderValue = HeaderValue::from_static("application/octet-stream");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The form of the message in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Binary,
    Text,
    Json,
}

impl Format {
    /// The form that the query asks for, or the header `Accept` if the query does not say.
    pub(crate) fn of(query: Option<&str>, headers: &HeaderMap) -> Format {
        let asked = query.unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("format="));
        match asked {
            Some("binary") => Format::Binary,
            Some("json") => Format::Json,
            None if headers.get("accept").is_some_and(|accept| accept == "application/json") => Format::Json,
            _ => Format::Text,
        }
    }
}

/// A response without a body.
pub(crate) fn bare(status: &RequestStatus) -> Response<ResponseBody> {
    with_status(empty(StatusCode::OK), status)
}

/// A response with the message of that name in the body.
pub(crate) fn message<M: Message>(
    status: &RequestStatus,
    name: &str,
    message: &M,
    format: Format,
) -> Response<ResponseBody> {
    let response = match format {
        Format::Binary => ok(OCTET_STREAM, message.encode_to_vec()),
        Format::Text => ok(TEXT, text::debug_text(name, message).into_bytes()),
        Format::Json => ok(JSON, text::json(name, message)),
    };
    with_status(response, status)
}

/// A response to inference, whose header is in a header and in the body behind the tensors.
pub(crate) fn inference(
    status: &RequestStatus,
    header: HeaderValue,
    body: ResponseBody,
) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, OCTET_STREAM);
    response.headers_mut().insert(NV_INFER_RESPONSE, header);
    with_status(response, status)
}

/// A response to inference that failed: its header has the request's id only.
#[cold]
pub(crate) fn failed_inference(status: &RequestStatus, id: u64) -> Response<ResponseBody> {
    let header = if id == 0 { String::new() } else { format!("id: {id}") };
    let mut response = bare(status);
    response.headers_mut().insert(NV_INFER_RESPONSE, value(header));
    response
}

/// A response without a status, to what is no call. The reason is for people.
#[cold]
pub(crate) fn without_status(status: StatusCode, reason: String) -> Response<ResponseBody> {
    let mut response = if reason.is_empty() { empty(status) } else { ok(TEXT, reason.into_bytes()) };
    *response.status_mut() = status;
    response
}

fn with_status(mut response: Response<ResponseBody>, status: &RequestStatus) -> Response<ResponseBody> {
    if status.code != RequestStatusCode::Success as i32 {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    response.headers_mut().insert(NV_STATUS, value(text::status_line(status)));
    response
}

/// A value of a header. The text format has printable ASCII only.
pub(crate) fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}
