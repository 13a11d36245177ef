//! Responses with the headers that TorchServe sends.

use bytes::Bytes;
use hippocamp_http_content::ResponseBody;
use hippocamp_tensor::HostSegments;
use hippocamp_torchserve::Failure;
use hyper::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, EXPIRES, HeaderName, HeaderValue, PRAGMA};
use hyper::{Response, StatusCode};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-cache; no-store, must-revalidate, private");
const LONG_AGO: HeaderValue = HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 UTC");

/// A response of that status, whose body has a type if it has one.
fn response(status: u16, content_type: Option<HeaderValue>, body: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.reserve(8);
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, content_type);
    }
    headers.insert(REQUEST_ID, request_id());
    headers.insert(PRAGMA, NO_CACHE);
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(EXPIRES, LONG_AGO);
    if status >= 400 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A number of the form of a UUID, version 4.
fn request_id() -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut random = fastrand::u128(..);
    let mut text = [b'-'; 36];
    for (place, byte) in text.iter_mut().enumerate() {
        *byte = match place {
            8 | 13 | 18 | 23 => continue,
            14 => b'4',
            19 => DIGITS[8 + (random as usize & 3)],
            _ => DIGITS[random as usize & 15],
        };
        random >>= 4;
    }
    HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static(""))
}

/// The content of a prediction, which has no type: only its client knows what it is.
pub(crate) fn prediction(content: HostSegments) -> Response<ResponseBody> {
    response(200, None, content.into_iter().collect())
}

/// A prediction that goes on while it is sent.
pub(crate) fn stream(body: ResponseBody) -> Response<ResponseBody> {
    response(200, None, body)
}

pub(crate) fn json(status: u16, text: String) -> Response<ResponseBody> {
    response(status, Some(JSON), ResponseBody::from_iter([Bytes::from(text)]))
}

/// A sentence about what was done.
pub(crate) fn status(status: u16, sentence: &str) -> Response<ResponseBody> {
    json(status, format!("{{\n  \"status\": {}\n}}\n", serde_json::Value::from(sentence)))
}

pub(crate) fn metrics(text: String) -> Response<ResponseBody> {
    response(200, Some(METRICS), ResponseBody::from_iter([Bytes::from(text)]))
}

#[cold]
pub(crate) fn failure(failure: &Failure) -> Response<ResponseBody> {
    json(failure.status, failure.json())
}

/// A request that is too large.
#[cold]
pub(crate) fn too_large() -> Response<ResponseBody> {
    response(413, None, ResponseBody::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_look_like_uuids() {
        let id = request_id();
        let parts: Vec<&str> = id.to_str().unwrap().split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'a', 'b']));
        assert_ne!(id, request_id());
    }
}
