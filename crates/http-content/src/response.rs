//! Responses and their bodies.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

/// The content type of JSON.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The body of a response: pieces that are written one after the other without a copy.
#[derive(Debug)]
pub struct ResponseBody(Content);

#[derive(Debug)]
enum Content {
    /// A complete body, whose length is known.
    Pieces(VecDeque<Bytes>),
    /// A body that is produced while it is sent.
    Stream(UnsyncBoxBody<Bytes, Infallible>),
}

impl ResponseBody {
    /// A body whose length is unknown until its end. It costs one allocation, and a dynamic call for each piece.
    pub fn stream(body: impl Body<Data = Bytes, Error = Infallible> + Send + 'static) -> ResponseBody {
        ResponseBody(Content::Stream(UnsyncBoxBody::new(body)))
    }
}

impl Default for ResponseBody {
    fn default() -> Self {
        ResponseBody(Content::Pieces(VecDeque::new()))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.0 {
            Content::Pieces(pieces) => Poll::Ready(pieces.pop_front().map(|piece| Ok(Frame::data(piece)))),
            Content::Stream(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Pieces(pieces) => pieces.is_empty(),
            Content::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Pieces(pieces) => {
                SizeHint::with_exact(pieces.iter().map(|piece| piece.len() as u64).sum())
            }
            Content::Stream(body) => body.size_hint(),
        }
    }
}

impl FromIterator<Bytes> for ResponseBody {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Self {
        ResponseBody(Content::Pieces(pieces.into_iter().filter(|piece| !piece.is_empty()).collect()))
    }
}

/// A response with this status and an empty body.
pub fn empty(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::default());
    *response.status_mut() = status;
    response
}

/// A response with status 200 and this content.
pub fn ok(content_type: HeaderValue, content: Vec<u8>) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from_iter([content.into()]));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// A response with status 200 and this JSON.
pub fn json(content: Vec<u8>) -> Response<ResponseBody> {
    ok(JSON, content)
}
