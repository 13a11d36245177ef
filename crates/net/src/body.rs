//! The body of a request as it arrives. Its bytes are counted, and reading fails if the client sends too slowly.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::exchange::Exchange;
use crate::network::End;
use crate::pace::Pace;

/// A body from which a protocol reads a request.
pub trait Source: Body<Data = Bytes, Error: Into<BodyError>> + Unpin {
    /// Notes that `bytes` received bytes are no longer held, before the request is answered.
    fn release(&mut self, _bytes: usize) {}

    /// Pauses the time limit until the next byte, because a stream is between two messages.
    fn pause(&mut self) {}

    /// Returns an error if so many announced bytes could not be held.
    fn has_room_for(&self, _bytes: u64) -> Result<(), BodyError> {
        Ok(())
    }
}

/// A body that is in memory already.
impl Source for Full<Bytes> {}

/// Why a body cannot be read further.
#[derive(Debug)]
pub enum BodyError {
    /// The connection failed, or the peer broke the protocol.
    Peer(hyper::Error),
    /// The client sent too slowly; `time` is the limit within which the body has to make progress.
    TooSlow { time: Duration },
    /// The server holds as many bytes for clients as the limit allows.
    NoRoom { limit: usize },
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyError::Peer(error) => write!(f, "failed to read the body of the request: {error}"),
            BodyError::TooSlow { time } => write!(
                f,
                "the body of the request came too slowly: less than 256 bytes a second for {} s; \
                 --body-timeout-secs sets the time",
                time.as_secs_f64()
            ),
            BodyError::NoRoom { limit } => write!(
                f,
                "the server holds {limit} bytes of requests and answers, the most that --max-inflight-bytes allows; \
                 try again later"
            ),
        }
    }
}

impl std::error::Error for BodyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BodyError::Peer(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Infallible> for BodyError {
    fn from(never: Infallible) -> BodyError {
        match never {}
    }
}

/// The body of a request. It ends with an error if it arrives too slowly, or if the server holds too many bytes.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Incoming,
    exchange: Arc<Exchange>,
    pace: Pace,
    received: u64,
    paused: bool,
    awaited: bool,
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, exchange: Arc<Exchange>) -> RequestBody {
        if incoming.is_end_stream() {
            exchange.came_whole();
        }
        RequestBody { incoming, exchange, pace: Pace::default(), received: 0, paused: false, awaited: false }
    }

    fn set_awaited(&mut self, awaited: bool) {
        if awaited != self.awaited {
            self.awaited = awaited;
            self.exchange.connection.awaits_body(awaited);
        }
    }

    /// The exchange that the body belongs to.
    pub fn exchange(&self) -> &Arc<Exchange> {
        &self.exchange
    }
}

impl Source for RequestBody {
    fn release(&mut self, bytes: usize) {
        self.exchange.release(bytes);
    }

    fn pause(&mut self) {
        self.pace.pause();
        self.paused = true;
        self.set_awaited(false);
    }

    fn has_room_for(&self, bytes: u64) -> Result<(), BodyError> {
        self.exchange.has_room_for(bytes)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    this.received += data.len() as u64;
                    this.paused = false;
                    this.exchange.hold(data.len())?;
                    if let Some(access) = &this.exchange.access {
                        access.received(data.len());
                    }
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(BodyError::Peer(error)))),
            Poll::Ready(None) => {
                this.set_awaited(false);
                this.exchange.came_whole();
                Poll::Ready(None)
            }
            Poll::Pending if this.paused => Poll::Pending,
            Poll::Pending => {
                this.set_awaited(true);
                this.exchange.connection.body_is_missing();
                let time = this.exchange.connection.network.limits.body_time;
                this.pace.poll_too_slow(cx, this.received, time).map(|()| {
                    this.exchange.came_too_slowly();
                    this.exchange.connection.network.counts.end(End::Body);
                    Some(Err(BodyError::TooSlow { time }))
                })
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.set_awaited(false);
    }
}
