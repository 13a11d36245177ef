//! Message assembly for gRPC requests: the frames of a message are held until the message is complete.
//!
//! tonic's codec allocates memory for a message as soon as it has read the announced length, so that a client could make the
//! server allocate gigabytes with five bytes. Here the frames of a message are held as they arrived until the last one, so
//! that memory is used only for bytes that were sent. Compressed messages are decompressed here too, so that their expansion
//! can be limited in proportion to the bytes that were sent, and large ones do not hold up a connection's thread.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hippocamp_net::{BodyError, RequestBody, Source};
use smallvec::SmallVec;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::{Status, codegen::Body as HttpBody};

use crate::deadline;
use crate::expansion::{Encoding, Expanded, Expansion};

/// The size of a message header in bytes: a compression flag and a length of four bytes.
pub const HEADER: usize = 5;

/// The largest message in bytes of a call that carries no tensors and no files. Some of these calls need no token, so that
/// everybody could have the server hold what they send.
const SMALL_MESSAGE: usize = 64 << 10;

/// Wraps a gRPC service so that it reads requests through [`AssembledMessages`] and observes the client's deadline.
#[derive(Clone, Debug)]
pub struct Assembled<S> {
    /// The wrapped service.
    pub service: S,
    /// The paths of the calls with a stream of request messages.
    pub streams: &'static [&'static str],
    /// The paths of the calls whose messages may be as large as gRPC allows.
    pub large: &'static [&'static str],
}

/// A tonic service whose request body is an [`AssembledMessages`].
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
    /// Responds to a call within the client's deadline. For a call with a stream of request messages, the request's
    /// extensions contain its `Exchange`, in which it counts the bytes that it holds.
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

    /// Responds to a call, without a deadline.
    pub async fn answer<B: Source>(&self, request: http::Request<B>) -> http::Response<Body>
    where
        S: Answers<B>,
    {
        let (parts, mut body) = request.into_parts();
        let is_stream = self.streams.contains(&parts.uri.path());
        if is_stream {
            body.pause();
        }
        let largest = if self.large.contains(&parts.uri.path()) { i32::MAX as usize } else { SMALL_MESSAGE };
        let body = AssembledMessages::new(body, Encoding::of(&parts.headers), is_stream, largest);
        let mut service = self.service.clone();
        match service.call(http::Request::from_parts(parts, body)).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }
}

/// A request body that yields the bytes of a message only when the message is complete.
#[derive(Debug)]
pub struct AssembledMessages<B> {
    body: B,
    encoding: Option<Encoding>,
    /// Whether the request is a stream of messages. Then bytes are released as soon as a message is passed on.
    is_stream: bool,
    /// The largest message in bytes.
    largest: usize,
    /// The frames of the message that is not complete yet.
    held: Frames,
    /// A complete message that is being decompressed. What follows it waits.
    expanding: Option<JoinHandle<Expanded>>,
    /// The bytes of complete messages, to be read.
    whole: VecDeque<Bytes>,
    ended: bool,
}

impl<B> AssembledMessages<B> {
    fn new(body: B, encoding: Option<Encoding>, is_stream: bool, largest: usize) -> Self {
        AssembledMessages {
            body,
            encoding,
            is_stream,
            largest,
            held: Frames::default(),
            expanding: None,
            whole: VecDeque::new(),
            ended: false,
        }
    }

    /// Adds a frame, and moves each message that it completes to `whole`.
    fn push(&mut self, frame: Bytes) -> Result<(), Status> {
        self.held.push(frame);
        self.move_complete()
    }

    /// Moves complete messages to `whole`, up to one that has to be decompressed on another thread.
    fn move_complete(&mut self) -> Result<(), Status> {
        while self.expanding.is_none()
            && let Some((flag, length)) = self.held.header()
        {
            if length > i32::MAX as usize {
                // The message is too large. The codec refuses it when it reads the header.
                self.whole.extend(self.held.take(HEADER));
                return Ok(());
            }
            if length > self.largest {
                return Err(Status::resource_exhausted(format!(
                    "expected a message of at most {} bytes for this call, got {length}",
                    self.largest
                )));
            }
            if self.held.length < HEADER + length {
                return Ok(());
            }
            match self.encoding.filter(|_| flag == 1) {
                Some(encoding) => {
                    drop(self.held.take(HEADER));
                    match Expansion::begin(encoding, self.held.take(length), self.largest)? {
                        Expansion::Done(message) => self.whole.extend(message),
                        Expansion::Elsewhere(expanding) => self.expanding = Some(expanding),
                    }
                }
                None => self.whole.extend(self.held.take(HEADER + length)),
            }
        }
        Ok(())
    }
}

impl<B: Source> AssembledMessages<B> {
    /// Adds received bytes, and releases those of messages that are passed on.
    fn take(&mut self, data: Bytes) -> Result<(), Status> {
        let before = self.held.length + data.len();
        self.push(data)?;
        self.moved_on(before)
    }

    /// Takes a message that was decompressed, and those behind it that had to wait.
    fn take_expanded(&mut self, message: [Bytes; 2]) -> Result<(), Status> {
        self.expanding = None;
        self.whole.extend(message);
        let before = self.held.length;
        self.move_complete()?;
        self.moved_on(before)
    }

    /// Accounts for what is held after messages were passed on, of `before` bytes.
    fn moved_on(&mut self, before: usize) -> Result<(), Status> {
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

/// The status of a call whose request body could not be read.
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
            if let Some(expanding) = &mut self.expanding {
                let expanded = ready!(Pin::new(expanding).poll(cx));
                let lost = |e| Status::internal(format!("the request could not be decompressed: {e}"));
                self.take_expanded(expanded.map_err(lost)??)?;
                continue;
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
                    // The codec reports an incomplete message.
                    self.ended = true;
                    let this = &mut *self;
                    let rest = this.held.length;
                    this.whole.extend(this.held.take(rest));
                }
            }
        }
    }
}

/// A queue of frames in the order of arrival.
#[derive(Debug, Default)]
pub struct Frames {
    frames: VecDeque<Bytes>,
    length: usize,
}

impl Frames {
    /// The size in bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Adds a frame. Empty frames are dropped, because each read of a header would have to skip them again.
    pub fn push(&mut self, frame: Bytes) {
        if frame.is_empty() {
            return;
        }
        self.length += frame.len();
        self.frames.push_back(frame);
    }

    /// The compression flag and the length in bytes of the next message; `None` until its header is complete.
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

    /// Removes and returns the first frame, if there is one.
    pub fn pop(&mut self) -> Option<Bytes> {
        let frame = self.frames.pop_front()?;
        self.length -= frame.len();
        Some(frame)
    }

    /// All frames as one slice.
    pub fn contiguous(&mut self) -> &[Bytes] {
        self.frames.make_contiguous()
    }

    /// Removes and returns the first `count` bytes without a copy. The caller has checked that there are as many.
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

#[cfg(test)]
mod tests;
