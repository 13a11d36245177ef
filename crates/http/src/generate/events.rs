//! Responses as server-sent events, each sent when it comes.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hippocamp_backend::Result;
use hyper::body::{Body, Frame};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

use super::Generation;
use crate::response::{self, ResponseBody};

const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");

/// Waits for the first event, which decides the status. Without any, the body is empty.
pub(super) async fn respond(generation: Generation) -> Response<ResponseBody> {
    let mut status = StatusCode::OK;
    let mut body = Events { first: None, next: None };
    if let Some((content, rest)) = next(generation).await {
        if let Err(error) = &content {
            status = response::status(error);
        }
        body = Events { first: Some(event(content)), next: Some(later(rest)) };
    }
    let mut response = Response::new(ResponseBody::stream(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, EVENT_STREAM);
    response
}

/// An event, and what the events after it come from. A response that is an error may be followed by others.
type Next = Option<(Result<Vec<u8>>, Generation)>;

type Later = Pin<Box<dyn Future<Output = Next> + Send>>;

async fn next(mut generation: Generation) -> Next {
    let content = generation.next().await?;
    Some((content, generation))
}

fn later(generation: Generation) -> Later {
    Box::pin(next(generation))
}

/// The text of an event. JSON has no line breaks, so one line holds it.
fn event(content: Result<Vec<u8>>) -> Bytes {
    let json = content.unwrap_or_else(|error| response::error_json(error.message()));
    [b"data: ", &json[..], b"\n\n"].concat().into()
}

/// The body. Dropping it, as happens when the client hangs up, cancels the request.
struct Events {
    /// It is there already.
    first: Option<Bytes>,
    /// `None` once the last event was sent.
    next: Option<Later>,
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let Some(next) = &mut this.next else { return Poll::Ready(None) };
        let next = ready!(next.as_mut().poll(cx));
        this.next = None;
        Poll::Ready(next.map(|(content, rest)| {
            this.next = Some(later(rest));
            Ok(Frame::data(event(content)))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.next.is_none()
    }
}
