//! Keeps a request's bytes back until a whole message is there.
//!
//! The codec behind this reserves memory for a message as soon as it has read its announced length. A peer that only
//! announces would get gigabytes for five bytes. Here the frames of a message wait, as they came, until the last one is
//! in; memory is used for what was sent, never for what was promised. Compressed messages are unpacked here as well, so
//! that how far one may swell depends on what was sent.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Read;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use smallvec::SmallVec;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, StdError, http};
use tonic::server::NamedService;
use tonic::{Status, codegen::Body as HttpBody};

use crate::deadline;

/// A compression flag and a length of four bytes.
pub(crate) const HEADER: usize = 5;

/// What a compressed message may swell to however small it is.
const FREE_EXPANSION: usize = 64 << 20;

/// And how many times its size beyond that. Real tensors shrink rarely to a tenth; a bomb to a thousandth.
const EXPANSION: usize = 32;

/// Wraps a gRPC service so that it reads requests through [`WholeMessages`], and keeps to the client's deadline.
#[derive(Clone, Debug)]
pub(crate) struct Whole<S>(pub(crate) S);

impl<S: NamedService> NamedService for Whole<S> {
    const NAME: &'static str = S::NAME;
}

type Answer = BoxFuture<http::Response<Body>, Infallible>;

impl<S> Service<http::Request<Body>> for Whole<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible, Future = Answer>,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Answer {
        let (parts, body) = request.into_parts();
        let encoding = Encoding::of(&parts.headers);
        let timeout = deadline::timeout(&parts.headers);
        let body = Body::new(WholeMessages::new(body, encoding));
        let call = self.0.call(http::Request::from_parts(parts, body));
        match timeout {
            None => call,
            Some(timeout) => Box::pin(deadline::within(timeout, call)),
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
struct WholeMessages<B> {
    body: B,
    encoding: Option<Encoding>,
    /// Frames of the message that is not complete yet.
    held: Frames,
    /// Bytes of complete messages.
    whole: VecDeque<Bytes>,
    ended: bool,
}

impl<B> WholeMessages<B> {
    fn new(body: B, encoding: Option<Encoding>) -> Self {
        WholeMessages { body, encoding, held: Frames::default(), whole: VecDeque::new(), ended: false }
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

impl<B> HttpBody for WholeMessages<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<StdError>,
{
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, StdError>>> {
        loop {
            if let Some(bytes) = self.whole.pop_front() {
                return Poll::Ready(Some(Ok(http_body::Frame::data(bytes))));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.push(data)?,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
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
#[derive(Default)]
pub(crate) struct Frames {
    frames: VecDeque<Bytes>,
    length: usize,
}

impl Frames {
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Adds a frame. An empty one is dropped: each would be looked over again and again on the way to a header.
    pub(crate) fn push(&mut self, frame: Bytes) {
        if frame.is_empty() {
            return;
        }
        self.length += frame.len();
        self.frames.push_back(frame);
    }

    /// The compression flag and the length of the next message, once its header is there.
    pub(crate) fn header(&self) -> Option<(u8, usize)> {
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
    pub(crate) fn pop(&mut self) -> Option<Bytes> {
        let frame = self.frames.pop_front()?;
        self.length -= frame.len();
        Some(frame)
    }

    /// All frames as they came.
    pub(crate) fn contiguous(&mut self) -> &[Bytes] {
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
