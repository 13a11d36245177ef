//! Responses, and the body that they are made of.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hippocamp_backend::Error;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

use crate::json::JsonWriter;

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The body of a response: pieces that are written one after the other, none of them copied. Its length is known.
#[derive(Debug, Default)]
pub struct ResponseBody(VecDeque<Bytes>);

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}

impl FromIterator<Bytes> for ResponseBody {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Self {
        ResponseBody(pieces.into_iter().filter(|piece| !piece.is_empty()).collect())
    }
}

/// A status and nothing else.
pub(crate) fn empty(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::default());
    *response.status_mut() = status;
    response
}

/// 200 with one piece of content.
pub(crate) fn ok(content_type: HeaderValue, content: Vec<u8>) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from_iter([content.into()]));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// 200 with JSON.
pub(crate) fn json(content: Vec<u8>) -> Response<ResponseBody> {
    ok(JSON, content)
}

/// `{"error": ...}`, which is what clients look for.
#[cold]
pub(crate) fn failed(status: StatusCode, message: &str) -> Response<ResponseBody> {
    let mut writer = JsonWriter::default();
    writer.open_object();
    writer.name("error");
    writer.string(message.as_bytes());
    writer.close_object();
    let mut response = json(writer.into_bytes());
    *response.status_mut() = status;
    response
}

/// The error under the status of its code.
#[cold]
pub(crate) fn error(error: &Error) -> Response<ResponseBody> {
    let status = StatusCode::from_u16(error.code().http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    failed(status, error.message())
}
