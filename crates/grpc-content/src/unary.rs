//! A unary call, read from and written to HTTP/2 frames without a copy of its tensors.
//!
//! tonic joins the frames of a message in one buffer and encodes an answer into another: for a large tensor two copies, and
//! two buffers of its size. Here one plain message is taken as its frames, and an answer leaves as its tensors. Everything
//! else, which is compressed messages and broken ones, goes on to tonic as it came, so that there is one place that
//! judges it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hippocamp_net::{BodyError, RequestBody, Source, off_thread};
use hippocamp_tensor::TensorData;
use http_body::{Frame, SizeHint};
use tonic::body::Body;
use tonic::codegen::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use tonic::codegen::{Body as HttpBody, http};
use tonic::metadata::GRPC_CONTENT_TYPE;
use tonic::{Code, Status};

use crate::frame_decode::{self, RawTensors};
use crate::{Frames, HEADER, MESSAGE_SIZE};

// Names of their own: a name that is looked up as text is parsed for each request.
static ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
static ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// Whether the messages of a call may be compressed. `reply` says whether the server compresses its replies for clients that
/// take that.
pub fn may_compress(headers: &http::HeaderMap, reply: bool) -> bool {
    headers.contains_key(&ENCODING) || (reply && headers.contains_key(&ACCEPT_ENCODING))
}

/// A request body of which some was read. Yields it again, and then what follows.
#[derive(Debug)]
pub struct Read {
    frames: Frames,
    /// What came instead of the next frame.
    failed: Option<BodyError>,
    body: RequestBody,
}

impl Read {
    /// A body of which nothing was read.
    pub fn new(body: RequestBody) -> Read {
        Read { frames: Frames::default(), failed: None, body }
    }

    /// Reads one message, and its raw tensors, which the message itself lacks. `None` if the body is not one plain message
    /// that can be decoded; then it is to be passed on to tonic. What is decoded is decoded on another thread if more than
    /// `large` bytes of it are not raw tensors.
    pub async fn message<R>(&mut self, large: usize) -> Option<(R::Message, Vec<TensorData>)>
    where
        R: RawTensors<Message: Send + 'static>,
    {
        if !self.one_message().await {
            return None;
        }
        let frames = self.frames.contiguous();
        if frames.iter().map(Bytes::len).sum::<usize>() > large
            && frame_decode::joined_bytes::<R>(frames) > large
        {
            let frames = frames.to_vec();
            return Box::pin(off_thread(true, move || frame_decode::decode::<R>(&frames))).await.ok()?;
        }
        frame_decode::decode::<R>(frames)
    }

    /// Reads on until it is clear whether the body is one message that is not compressed. Memory is used for what was
    /// sent, not for what was announced.
    async fn one_message(&mut self) -> bool {
        let mut is_announced = false;
        loop {
            let header = self.frames.header();
            if let Some((_, length)) = header
                && !std::mem::replace(&mut is_announced, true)
                && let Err(error) = self.body.has_room_for(length as u64)
            {
                self.failed = Some(error);
                return false;
            }
            if header.is_some_and(|(flag, length)| {
                flag != 0 || length > MESSAGE_SIZE || self.frames.len() > HEADER + length
            }) {
                return false;
            }
            match poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await {
                // Trailers of a request mean nothing to us.
                Some(Ok(frame)) => frame.into_data().into_iter().for_each(|data| self.frames.push(data)),
                Some(Err(failed)) => {
                    self.failed = Some(failed);
                    return false;
                }
                None => return header.is_some_and(|(_, length)| self.frames.len() == HEADER + length),
            }
        }
    }
}

impl Source for Read {}

impl HttpBody for Read {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(frame) = self.frames.pop() {
            return Poll::Ready(Some(Ok(Frame::data(frame))));
        }
        match self.failed.take() {
            Some(failed) => Poll::Ready(Some(Err(failed))),
            None => Pin::new(&mut self.body).poll_frame(cx),
        }
    }
}

/// The answer of a call that went well: an encoded message behind its header, in pieces.
pub fn sent(pieces: VecDeque<Bytes>) -> http::Response<Body> {
    let mut response = http::Response::new(Body::new(Sent { pieces, ended: false }));
    response.headers_mut().insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
    response
}

/// The pieces of a message, each as it is, and the status OK.
struct Sent {
    pieces: VecDeque<Bytes>,
    ended: bool,
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(piece) = self.pieces.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if std::mem::replace(&mut self.ended, true) {
            return Poll::Ready(None);
        }
        let mut trailers = http::HeaderMap::with_capacity(1);
        trailers.insert(Status::GRPC_STATUS, HeaderValue::from(Code::Ok as u16));
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    /// Not exact, or the library would write a length for what has trailers.
    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(self.pieces.iter().map(|piece| piece.len() as u64).sum());
        hint
    }
}
