//! The stream below a protocol. It records which reads and writes wait, and delays the peer's end of stream until the
//! responses are written.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::Connection;
use crate::preface::Preface;
use crate::stream::Stream;

/// Reads and writes a stream. The peer's end of stream is reported only when all complete requests are answered: HTTP
/// libraries take it for the end of the connection, although the peer may still read.
pub struct Socket {
    stream: Stream,
    /// The bytes that were read to detect the protocol.
    ahead: Preface,
    connection: Arc<Connection>,
    /// Whether bytes between requests begin a head, whose time is limited. False for HTTP/2, which also sends other frames
    /// then.
    times_heads: bool,
    end: End,
    /// Whether bytes were read since the last flush, so that their requests may not have begun.
    has_news: bool,
    /// Whether the peer's end of stream came with such bytes.
    ended_with_news: bool,
}

/// The state of the peer's end of stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Ahead,
    /// It was received, and is delayed until the last response is written.
    Held,
    /// The last response was written, so it is reported next.
    Due,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl Socket {
    pub(crate) fn new(
        stream: Stream,
        ahead: Preface,
        connection: Arc<Connection>,
        times_heads: bool,
    ) -> Socket {
        let (has_news, ended_with_news) = (false, false);
        Socket { stream, ahead, connection, times_heads, end: End::Ahead, has_news, ended_with_news }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.end == End::Ahead {
            // With HTTP/2, requests begin only after all that was received is read.
            self.ended_with_news = self.has_news && !self.times_heads;
            let may_answer = self.connection.has_begun() || self.ended_with_news;
            self.end = if may_answer { End::Held } else { End::Due };
            // A reader that waits for a body has to read once more, because data may have arrived before the end.
            cx.waker().wake_by_ref();
        }
        if self.end == End::Held && self.connection.poll_half_closed(cx).is_ready() {
            self.end = End::Due;
        }
        // While the end is held, the next flush shows that the responses are written.
        if self.end == End::Due { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.ahead.is_empty() {
            this.ahead.read(buffer);
            return Poll::Ready(Ok(()));
        }
        if this.end != End::Ahead {
            return this.poll_end(cx);
        }
        let before = buffer.filled().len();
        match ready!(Pin::new(&mut this.stream).poll_read(cx, buffer)) {
            Ok(()) => {}
            // A peer that ends TCP without ending TLS first. No request depends on where its stream ended.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && this.stream.is_tls() => {}
            Err(e) => return Poll::Ready(Err(e)),
        }
        let count = buffer.filled().len() - before;
        if count == 0 && buffer.remaining() > 0 {
            return this.poll_end(cx);
        }
        this.connection.received(count);
        this.has_news = true;
        if this.times_heads {
            this.connection.reads_head();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.connection.blocked(polled.is_pending());
        polled
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.connection.blocked(polled.is_pending());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        if flushed.is_pending() {
            // TLS has taken what the kernel does not take.
            this.connection.blocked(true);
        }
        ready!(flushed)?;
        this.has_news = false;
        if this.end == End::Held && this.connection.has_answered(this.ended_with_news) {
            this.end = End::Due;
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
