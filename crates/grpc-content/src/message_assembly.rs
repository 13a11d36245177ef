//! Assembles the messages of a gRPC request: its bytes are kept back until a whole message is there.
//!
//! The codec behind this reserves memory for a message as soon as it has read its announced length. A peer that only
//! announces would get gigabytes for five bytes. Here the frames of a message wait, as they came, until the last one is
//! in; memory is used for what was sent, never for what was promised. Compressed messages are unpacked here as well, so
//! that how far one may swell depends on what was sent.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Read;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use hippocamp_net::{BodyError, RequestBody, Source};
use smallvec::SmallVec;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::{Status, codegen::Body as HttpBody};

use crate::deadline;

/// A compression flag and a length of four bytes.
pub const HEADER: usize = 5;

/// What a compressed message may swell to however small it is.
const FREE_EXPANSION: usize = 64 << 20;

/// And how many times its size beyond that. Real tensors shrink rarely to a tenth; a bomb to a thousandth.
const EXPANSION: usize = 32;

/// Wraps a gRPC service so that it reads requests through [`AssembledMessages`], and keeps to the client's deadline.
#[derive(Clone, Debug)]
pub struct Assembled<S> {
    /// What answers the calls.
    pub service: S,
    /// The paths of those calls whose clients send more than one message.
    pub streams: &'static [&'static str],
}

/// A service of tonic that takes a body through [`AssembledMessages`].
pub trait Answers<B>:
    Service<
        http::Request<AssembledMessages<B>>,
        Response = http::Response<Body>,
        Error = Infallible,
        Future = BoxFuture<http::Response<Body>, Infallible>,
    > + Clone
{
}

impl<B, S> Answers<B> for S where
    S: Service<
            http::Request<AssembledMessages<B>>,
            Response = http::Response<Body>,
            Error = Infallible,
            Future = BoxFuture<http::Response<Body>, Infallible>,
        > + Clone
{
}

impl<S> Assembled<S> {
    /// Answers a call, within the deadline that its client set. A call whose client sends more than one message finds its
    /// `Exchange` in the request's extensions, to count there what it holds.
    pub async fn respond(&self, mut request: http::Request<RequestBody>) -> http::Response<Body>
    where
        S: Answers<RequestBody>,
    {
        if self.streams.contains(&request.uri().path()) {
            let exchange = Arc::clone(request.body().exchange());
            request.extensions_mut().insert(exchange);
        }
        match deadline::timeout(request.headers()) {
            None => self.answer(request).await,
            Some(timeout) => deadline::within(timeout, self.answer(request)).await,
        }
    }

    /// Without a look at the deadline.
    pub async fn answer<B: Source>(&self, request: http::Request<B>) -> http::Response<Body>
    where
        S: Answers<B>,
    {
        let (parts, mut body) = request.into_parts();
        let is_stream = self.streams.contains(&parts.uri.path());
        if is_stream {
            body.pause();
        }
        let body = AssembledMessages::new(body, Encoding::of(&parts.headers), is_stream);
        let mut service = self.service.clone();
        match service.call(http::Request::from_parts(parts, body)).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }
}

/// How compressed messages of a request are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Gzip,
    Deflate,
}

impl Encoding {
    fn of(headers: &http::HeaderMap) -> Option<Encoding> {
        match headers.get("grpc-encoding")?.as_bytes() {
            b"gzip" => Some(Encoding::Gzip),
            b"deflate" => Some(Encoding::Deflate),
            _ => None,
        }
    }
}

/// A request body that yields the bytes of a message only when all of them are there.
#[derive(Debug)]
pub struct AssembledMessages<B> {
    body: B,
    encoding: Option<Encoding>,
    /// Messages may come at any time, and are no longer held here when they are passed on.
    is_stream: bool,
    /// Frames of the message that is not complete yet.
    held: Frames,
    /// Bytes of complete messages.
    whole: VecDeque<Bytes>,
    ended: bool,
}

impl<B> AssembledMessages<B> {
    fn new(body: B, encoding: Option<Encoding>, is_stream: bool) -> Self {
        AssembledMessages {
            body,
            encoding,
            is_stream,
            held: Frames::default(),
            whole: VecDeque::new(),
            ended: false,
        }
    }

    /// Takes a frame, and moves what it completes to where it is read from.
    fn push(&mut self, frame: Bytes) -> Result<(), Status> {
        self.held.push(frame);
        while let Some((flag, length)) = self.held.header() {
            if length > i32::MAX as usize {
                // The codec refuses it by the header alone.
                self.whole.extend(self.held.take(HEADER));
                return Ok(());
            }
            if self.held.length < HEADER + length {
                return Ok(());
            }
            match self.encoding.filter(|_| flag == 1) {
                Some(encoding) => {
                    drop(self.held.take(HEADER));
                    let message = unpack(encoding, self.held.take(length), length)?;
                    self.whole.extend(message);
                }
                None => self.whole.extend(self.held.take(HEADER + length)),
            }
        }
        Ok(())
    }
}

impl<B: Source> AssembledMessages<B> {
    /// Takes what came, and lets go of what is passed on.
    fn take(&mut self, data: Bytes) -> Result<(), Status> {
        let before = self.held.length + data.len();
        self.push(data)?;
        if let Some((_, length)) = self.held.header() {
            self.body
                .has_room_for((HEADER + length).saturating_sub(self.held.length) as u64)
                .map_err(unread)?;
        }
        if self.is_stream {
            self.body.release(before - self.held.length);
            if self.held.length == 0 {
                self.body.pause();
            }
        }
        Ok(())
    }
}

/// The status of a call whose request cannot be read.
fn unread(error: BodyError) -> Status {
    match error {
        BodyError::NoRoom { .. } => Status::unavailable(error.to_string()),
        BodyError::TooSlow { .. } => Status::deadline_exceeded(error.to_string()),
        BodyError::Peer(error) => Status::from_error(Box::new(error)),
    }
}

impl<B: Source> HttpBody for AssembledMessages<B> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        loop {
            if let Some(bytes) = self.whole.pop_front() {
                return Poll::Ready(Some(Ok(http_body::Frame::data(bytes))));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.take(data)?,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(unread(error.into())))),
                None => {
                    // The codec tells of a message that ends too early.
                    self.ended = true;
                    let this = &mut *self;
                    let rest = this.held.length;
                    this.whole.extend(this.held.take(rest));
                }
            }
        }
    }
}

/// Frames in the order in which they came.
#[derive(Debug, Default)]
pub struct Frames {
    frames: VecDeque<Bytes>,
    length: usize,
}

impl Frames {
    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Adds a frame. An empty one is dropped: each would be looked over again and again on the way to a header.
    pub fn push(&mut self, frame: Bytes) {
        if frame.is_empty() {
            return;
        }
        self.length += frame.len();
        self.frames.push_back(frame);
    }

    /// The compression flag and the length of the next message, once its header is there.
    pub fn header(&self) -> Option<(u8, usize)> {
        if self.length < HEADER {
            return None;
        }
        let mut header = [0; HEADER];
        let bytes = self.frames.iter().flat_map(|frame| frame.iter());
        for (to, from) in header.iter_mut().zip(bytes) {
            *to = *from;
        }
        let [flag, length @ ..] = header;
        Some((flag, u32::from_be_bytes(length) as usize))
    }

    /// The first frame, if there is one.
    pub fn pop(&mut self) -> Option<Bytes> {
        let frame = self.frames.pop_front()?;
        self.length -= frame.len();
        Some(frame)
    }

    /// All frames as they came.
    pub fn contiguous(&mut self) -> &[Bytes] {
        self.frames.make_contiguous()
    }

    /// The first `count` bytes, which are there. Copies nothing.
    fn take(&mut self, mut count: usize) -> SmallVec<[Bytes; 2]> {
        self.length -= count;
        let mut taken = SmallVec::new();
        while count > 0 {
            let Some(mut frame) = self.frames.pop_front() else { break };
            if frame.len() > count {
                let first = frame.split_to(count);
                self.frames.push_front(frame);
                frame = first;
            }
            count -= frame.len();
            taken.push(frame);
        }
        taken
    }
}

/// Unpacks a message, and gives it the header of one that was never packed.
fn unpack(encoding: Encoding, frames: SmallVec<[Bytes; 2]>, length: usize) -> Result<[Bytes; 2], Status> {
    let limit = FREE_EXPANSION.saturating_add(EXPANSION * length).min(i32::MAX as usize);
    let packed = FrameReader(frames.into_iter().collect());
    let mut message = Vec::new();
    let read = match encoding {
        Encoding::Gzip => MultiGzDecoder::new(packed).take(limit as u64 + 1).read_to_end(&mut message),
        Encoding::Deflate => ZlibDecoder::new(packed).take(limit as u64 + 1).read_to_end(&mut message),
    };
    read.map_err(|e| Status::invalid_argument(format!("failed to decompress the request: {e}")))?;
    if message.len() > limit {
        return Err(Status::resource_exhausted(format!(
            "a compressed request of {length} bytes unpacks to more than {limit} bytes; send it uncompressed"
        )));
    }
    let mut header = BytesMut::with_capacity(HEADER);
    header.put_u8(0);
    header.put_u32(message.len() as u32);
    Ok([header.freeze(), message.into()])
}

/// Reads frames one after the other.
struct FrameReader(VecDeque<Bytes>);

impl Read for FrameReader {
    fn read(&mut self, target: &mut [u8]) -> std::io::Result<usize> {
        while self.0.front().is_some_and(Bytes::is_empty) {
            self.0.pop_front();
        }
        let Some(frame) = self.0.front_mut() else { return Ok(0) };
        let count = frame.len().min(target.len());
        frame.copy_to_slice(&mut target[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
