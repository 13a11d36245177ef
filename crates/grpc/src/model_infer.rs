//! The call `ModelInfer`, read from and written to HTTP/2 frames without a copy of its tensors.
//!
//! tonic joins the frames of a message in one buffer and encodes an answer into another: for a large tensor two copies, and
//! two buffers of its size. Here one plain message is taken as its frames, and an answer leaves as its tensors. Everything
//! else, which is compressed messages and broken ones, goes on to tonic as it came, so that there is one place that
//! judges it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hippocamp_core::InferenceServer;
use http_body::Frame;
use tonic::body::Body;
use tonic::codegen::http::header::{CONTENT_TYPE, HeaderValue};
use tonic::codegen::{Body as HttpBody, BoxFuture, Service, http};
use tonic::metadata::GRPC_CONTENT_TYPE;
use tonic::server::NamedService;
use tonic::{Code, Status};

use crate::serve::MESSAGE_SIZE;
use crate::whole_messages::{Frames, HEADER, Whole};
use crate::{deadline, fields, infer, status::status};

const PATH: &str = "/inference.GRPCInferenceService/ModelInfer";

type Answer = BoxFuture<http::Response<Body>, Infallible>;

/// Answers that call, and passes others on to the service it wraps.
#[derive(Clone, Debug)]
pub(crate) struct ModelInfer<S> {
    pub(crate) server: Arc<InferenceServer>,
    pub(crate) others: Whole<S>,
    /// Replies are compressed for clients that take it, which tonic does.
    pub(crate) response_compression: bool,
}

impl<S: NamedService> NamedService for ModelInfer<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for ModelInfer<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible, Future = Answer>
        + Clone
        + Send
        + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.others.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Answer {
        let headers = request.headers();
        let may_compress = headers.contains_key("grpc-encoding")
            || (self.response_compression && headers.contains_key("grpc-accept-encoding"));
        if request.uri().path() != PATH || may_compress {
            return self.others.call(request);
        }
        let timeout = deadline::timeout(headers);
        let call = answer(Arc::clone(&self.server), self.others.clone(), request);
        match timeout {
            None => Box::pin(call),
            Some(timeout) => Box::pin(deadline::within(timeout, call)),
        }
    }
}

async fn answer<S>(
    server: Arc<InferenceServer>,
    mut others: Whole<S>,
    request: http::Request<Body>,
) -> Result<http::Response<Body>, Infallible>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible, Future = Answer>,
{
    let (parts, body) = request.into_parts();
    let mut read = Read { frames: Frames::default(), failed: None, body };
    if read.one_message().await
        && let Some((message, raw)) = fields::decode(read.frames.contiguous())
    {
        // From here on the frames belong to the tensors.
        drop(read);
        return Ok(match infer::infer(&server, message, raw).await {
            Ok(reply) => reply.into_pieces().map_or_else(Status::into_http, sent),
            Err(error) => status(&error).into_http(),
        });
    }
    others.call(http::Request::from_parts(parts, Body::new(read))).await
}

/// A request body of which some was read. Yields it again, and then what follows.
struct Read {
    frames: Frames,
    /// What came instead of the next frame.
    failed: Option<Status>,
    body: Body,
}

impl Read {
    /// Reads on until it is clear whether the body is one message that is not compressed. Memory is used for what was
    /// sent, not for what was announced.
    async fn one_message(&mut self) -> bool {
        loop {
            let header = self.frames.header();
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

impl HttpBody for Read {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(frame) = self.frames.pop() {
            return Poll::Ready(Some(Ok(Frame::data(frame))));
        }
        match self.failed.take() {
            Some(failed) => Poll::Ready(Some(Err(failed))),
            None => Pin::new(&mut self.body).poll_frame(cx),
        }
    }
}

/// The answer of a call that went well.
fn sent(pieces: VecDeque<Bytes>) -> http::Response<Body> {
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
}
