//! The byte stream of a connection: TCP or a unix socket, as it is or with TLS on it.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hippocamp_tls::Tls;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::read_ahead::ReadAhead;

/// A connection as it was accepted.
#[derive(Debug)]
pub(crate) enum Plain {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection between two runtimes.
pub(crate) enum Detached {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Plain {
    /// Takes it from this runtime.
    pub(crate) fn detach(self) -> io::Result<Detached> {
        Ok(match self {
            Plain::Tcp(stream) => Detached::Tcp(stream.into_std()?),
            Plain::Unix(stream) => Detached::Unix(stream.into_std()?),
        })
    }

    /// The address of the client, as the access log writes it.
    pub(crate) fn client(&self) -> String {
        match self {
            Plain::Tcp(stream) => stream.peer_addr().map_or_else(|_| "-".to_owned(), |peer| peer.to_string()),
            Plain::Unix(_) => "unix".to_owned(),
        }
    }

    /// Has small responses leave at once, which would wait for the peer's acknowledgement of the previous one otherwise.
    pub(crate) fn set_nodelay(&self) -> io::Result<()> {
        match self {
            Plain::Tcp(stream) => stream.set_nodelay(true),
            Plain::Unix(_) => Ok(()),
        }
    }
}

impl Detached {
    /// Registers it with this runtime.
    pub(crate) fn attach(self) -> io::Result<Plain> {
        Ok(match self {
            Detached::Tcp(stream) => Plain::Tcp(TcpStream::from_std(stream)?),
            Detached::Unix(stream) => Plain::Unix(UnixStream::from_std(stream)?),
        })
    }
}

/// What a protocol reads from and writes to.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<ReadAhead<Plain>>>),
}

/// The protocol that a client chose by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chosen {
    Http1,
    Http2,
}

impl Stream {
    /// Begins a connection: with the handshake, if the port has TLS.
    pub(crate) async fn begin(plain: Plain, tls: Option<Arc<Tls>>) -> io::Result<Stream> {
        let Some(tls) = tls else {
            return Ok(match plain {
                Plain::Tcp(stream) => Stream::Tcp(stream),
                Plain::Unix(stream) => Stream::Unix(stream),
            });
        };
        let accepted = TlsAcceptor::from(tls.config()).accept(ReadAhead::new(plain)).await?;
        Ok(Stream::Tls(Box::new(accepted)))
    }

    pub(crate) fn is_tls(&self) -> bool {
        matches!(self, Stream::Tls(_))
    }

    /// Whether it is on a unix socket.
    pub(crate) fn is_unix(&self) -> bool {
        match self {
            Stream::Tcp(_) => false,
            Stream::Unix(_) => true,
            Stream::Tls(stream) => matches!(stream.get_ref().0.inner(), Plain::Unix(_)),
        }
    }

    /// What the client chose by ALPN; `None` without TLS, and for clients that do not know ALPN.
    pub(crate) fn chosen(&self) -> Option<Chosen> {
        let Stream::Tls(stream) = self else { return None };
        match stream.get_ref().1.alpn_protocol()? {
            b"h2" => Some(Chosen::Http2),
            _ => Some(Chosen::Http1),
        }
    }

    /// Reads what has come, at least a byte; 0 at the end.
    pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        std::future::poll_fn(|cx| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut *self).poll_read(cx, &mut buffer))?;
            Poll::Ready(Ok(buffer.filled().len()))
        })
        .await
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stream::Tcp(stream) => stream.fmt(f),
            Stream::Unix(stream) => stream.fmt(f),
            Stream::Tls(stream) => write!(f, "TLS on {:?}", stream.get_ref().0),
        }
    }
}

impl AsyncRead for Plain {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Plain::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Plain::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Plain {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Plain::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Plain::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Plain::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Plain::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Plain::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Plain::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Plain::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Plain::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Stream::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
        }
    }
}
