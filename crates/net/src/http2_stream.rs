//! The stream below an HTTP/2 connection: follows the frames that come, without a copy, for what the library does not do.
//!
//! It times frames that come in pieces, as a head of HTTP/1.1 is timed; counts pings of clients that ping too often; sends
//! keep-alive pings; and mends an authority that gRPC sends over unix sockets and the library refuses.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::authority::AuthorityMender;
use crate::connection::Connection;
use crate::frames::{Frames, Kind};
use crate::keepalive::Strikes;
use crate::network::End;

/// A ping with a payload of our own. The library passes over the answer, which counts because bytes come.
const PING: [u8; 17] = *b"\0\0\x08\x06\0\0\0\0\0hippocmp";

/// GOAWAY with `ENHANCE_YOUR_CALM` and the text for which clients of gRPC ping less often from then on.
const TOO_MANY_PINGS: [u8; 31] = *b"\0\0\x16\x07\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\x0btoo_many_pings";

pub(crate) struct Http2Stream<IO> {
    inner: IO,
    connection: Arc<Connection>,
    frames: Frames,
    /// Whether a frame or a block of headers has come in part.
    is_partial: bool,
    strikes: Strikes,
    /// Frames of ours that wait to be written.
    ours: Vec<u8>,
    /// How many of their bytes were written.
    written: usize,
    /// Whether the library's last write was cut, so that a frame of ours would lie within one of its.
    is_cut: bool,
    /// Whether the connection ends once ours are written.
    ends: bool,
    mender: Option<AuthorityMender>,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Http2Stream<IO> {
    /// `is_unix` says that the connection is on a unix socket.
    pub(crate) fn new(inner: IO, connection: Arc<Connection>, is_unix: bool) -> Http2Stream<IO> {
        Http2Stream {
            inner,
            connection,
            frames: Frames::default(),
            is_partial: false,
            strikes: Strikes::default(),
            ours: Vec::new(),
            written: 0,
            is_cut: false,
            ends: false,
            mender: is_unix.then(AuthorityMender::default),
        }
    }

    /// Follows the frames in what was read.
    fn follow(&mut self, bytes: &mut [u8]) {
        let mut pings = 0;
        let mender = &mut self.mender;
        self.frames.feed(bytes, |kind, content| match (kind, mender.as_mut()) {
            (Kind::Ping, _) => pings += u32::from(content.is_empty()),
            (Kind::Headers, Some(mender)) => mender.mend(content),
            _ => {}
        });
        for _ in 0..pings {
            let connection = &self.connection;
            if self.strikes.add(connection.sight(), &connection.pings) && !self.ends {
                connection.network.counts.end(End::Pings);
                self.ours.extend_from_slice(&TOO_MANY_PINGS);
                self.ends = true;
            }
        }
        if self.frames.is_partial() != self.is_partial {
            self.is_partial = !self.is_partial;
            self.connection.reads_frame(self.is_partial);
        }
    }

    /// Writes frames of ours between those of the library.
    #[cold]
    fn poll_write_ours(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.ours.len() {
            let count = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.ours[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
        }
        self.ours.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Writes them as far as the peer takes them, and ends the connection if that is due. Ready at its end.
    #[cold]
    fn poll_ours(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_cut {
            return Poll::Pending;
        }
        ready!(self.poll_write_ours(cx))?;
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        if self.ends { Pin::new(&mut self.inner).poll_shutdown(cx) } else { Poll::Pending }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Http2Stream<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.connection.keepalive.take_due() {
            this.ours.extend_from_slice(&PING);
        }
        if !this.ours.is_empty() || this.ends {
            let ended = this.poll_ours(cx)?;
            if this.ends {
                // To the library, the peer has ended the connection.
                return ended.map(Ok);
            }
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buffer))?;
        this.follow(&mut buffer.filled_mut()[before..]);
        if this.ends {
            buffer.set_filled(before);
            return this.poll_ours(cx);
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Http2Stream<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.written > 0 {
            ready!(this.poll_write_ours(cx))?;
        }
        let count = ready!(Pin::new(&mut this.inner).poll_write_vectored(cx, slices))?;
        // The library offers all that it has of a frame.
        this.is_cut = count < slices.iter().map(|slice| slice.len()).sum();
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}
