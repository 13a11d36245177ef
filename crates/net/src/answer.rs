//! The body of a response while it is sent. It detects clients that stop reading.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hippocamp_access_log::AccessRecord;
use hyper::Response;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::HeaderMap;
use hyper::http::Extensions;

use crate::exchange::Open;

/// A response body that is being sent. The exchange ends when it is sent or dropped.
#[derive(Debug)]
pub struct Answer<B> {
    body: B,
    open: Open,
    /// Whether there were bytes for the peer to read at the last poll.
    waits: bool,
    /// What the front had kept until now.
    _kept: Option<UntilSent>,
}

/// A value that is dropped when a response was sent, or cannot be sent.
#[derive(Clone)]
pub(crate) struct UntilSent(#[allow(dead_code, reason = "it is dropped")] Arc<dyn Any + Send + Sync>);

impl std::fmt::Debug for UntilSent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UntilSent")
    }
}

/// Keeps a value until the response was sent, or cannot be sent because its client is gone. With `None` it does nothing.
#[inline]
pub fn keep_until_sent<B>(response: &mut Response<B>, value: Option<impl Any + Send + Sync>) {
    if let Some(value) = value {
        keep_in(response.extensions_mut(), value);
    }
}

/// The same, by the extensions of a response that is not made yet.
pub fn keep_in(extensions: &mut Extensions, value: impl Any + Send + Sync) {
    extensions.insert(UntilSent(Arc::new(value)));
}

impl<B: Body> Answer<B> {
    pub(crate) fn new(body: B, open: Open, kept: Option<UntilSent>) -> Answer<B> {
        let exchange = &open.0;
        exchange.connection.answer_waits(true);
        let size = body.size_hint().lower();
        if size > 0 {
            exchange.hold_answer(size as usize);
        }
        Answer { body, open, waits: true, _kept: kept }
    }
}

impl<B> Answer<B> {
    fn set_waits(&mut self, waits: bool) {
        let connection = &self.open.0.connection;
        if waits == self.waits {
            connection.answer_taken();
        } else {
            connection.answer_waits(waits);
            self.waits = waits;
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Answer<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.set_waits(polled.is_ready());
        let frame = ready!(polled);
        if let Some(access) = &self.open.0.access
            && let Some(Ok(frame)) = &frame
        {
            note(access, frame);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Notes what leaves.
#[cold]
fn note(access: &AccessRecord, frame: &Frame<Bytes>) {
    match (frame.data_ref(), frame.trailers_ref()) {
        (Some(data), _) => access.sent(data.len()),
        (None, Some(trailers)) => note_grpc_status(access, trailers),
        (None, None) => {}
    }
}

/// Notes the status of gRPC, which is in the trailers or, without any message, in the head.
pub(crate) fn note_grpc_status(access: &AccessRecord, headers: &HeaderMap) {
    let status = headers.get("grpc-status").and_then(|status| status.to_str().ok()?.parse().ok());
    if let Some(status) = status {
        access.answered_grpc(status);
    }
}

impl<B> Drop for Answer<B> {
    fn drop(&mut self) {
        if self.waits {
            self.open.0.connection.answer_waits(false);
        }
    }
}
