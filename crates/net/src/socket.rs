//! The TCP stream below a protocol. It records which reads and writes wait, and delays the peer's end of stream until the
//! responses are written.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::connection::Connection;
use crate::preface::Preface;

/// Reads and writes a TCP stream. The peer's end of stream is reported only when all complete requests are answered: HTTP
/// libraries take it for the end of the connection, although the peer may still read.
pub struct Socket {
    stream: TcpStream,
    /// The bytes that were read to detect the protocol.
    ahead: Preface,
    connection: Arc<Connection>,
    /// Whether bytes between requests begin a head, whose time is limited. False for HTTP/2, which also sends other frames
    /// then.
    times_heads: bool,
    end: End,
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
        stream: TcpStream,
        ahead: Preface,
        connection: Arc<Connection>,
        times_heads: bool,
    ) -> Socket {
        Socket { stream, ahead, connection, times_heads, end: End::Ahead }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.end == End::Ahead {
            self.end = if self.connection.has_begun() { End::Held } else { End::Due };
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
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        let count = buffer.filled().len() - before;
        if count == 0 && buffer.remaining() > 0 {
            return this.poll_end(cx);
        }
        this.connection.received(count);
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
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        if this.end == End::Held && this.connection.has_answered() {
            this.end = End::Due;
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
