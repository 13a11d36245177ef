//! Reads ahead below TLS.
//!
//! rustls asks for 4 KiB at a time, which is four system calls and more for each record of a large body. Here, once a read was
//! filled to its end, so that more has probably come, as much as there is room for is read by one call.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// The bytes that are read ahead at most. There is a buffer only while it holds some.
const AHEAD: usize = 128 << 10;

#[derive(Debug)]
pub(crate) struct ReadAhead<IO> {
    inner: IO,
    ahead: Vec<u8>,
    /// The number of bytes of `ahead` that were given on.
    given: usize,
    /// Whether the last read was filled.
    expects_more: bool,
}

impl<IO> ReadAhead<IO> {
    pub(crate) fn new(inner: IO) -> ReadAhead<IO> {
        ReadAhead { inner, ahead: Vec::new(), given: 0, expects_more: false }
    }

    pub(crate) fn inner(&self) -> &IO {
        &self.inner
    }

    fn give(&mut self, buffer: &mut ReadBuf<'_>) {
        let count = buffer.remaining().min(self.ahead.len() - self.given);
        buffer.put_slice(&self.ahead[self.given..self.given + count]);
        self.given += count;
        if self.given == self.ahead.len() {
            // An idle connection keeps no buffer.
            (self.ahead, self.given) = (Vec::new(), 0);
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for ReadAhead<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ahead.is_empty() {
            if !this.expects_more {
                ready!(Pin::new(&mut this.inner).poll_read(cx, buffer))?;
                this.expects_more = buffer.remaining() == 0;
                return Poll::Ready(Ok(()));
            }
            this.expects_more = false;
            let mut ahead = Vec::with_capacity(AHEAD);
            let count = ready!(pin!(this.inner.read_buf(&mut ahead)).poll(cx))?;
            this.expects_more = count == AHEAD;
            this.ahead = ahead;
            if count == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        this.give(buffer);
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for ReadAhead<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn what_comes_is_given_whatever_is_asked_for_and_nothing_is_kept() {
        let sent: Vec<u8> = (0..400_000u32).map(|number| (number % 251) as u8).collect();
        let (mut peer, socket) = tokio::io::duplex(200_000);
        let bytes = sent.clone();
        let writer = tokio::spawn(async move {
            peer.write_all(&bytes).await.unwrap();
        });
        let mut reader = ReadAhead::new(socket);
        let mut received = Vec::new();
        let mut sizes = [4096, 1, 16_384, 100].into_iter().cycle();
        loop {
            let mut buffer = vec![0; sizes.next().unwrap()];
            match reader.read(&mut buffer).await.unwrap() {
                0 => break,
                count => received.extend_from_slice(&buffer[..count]),
            }
        }
        writer.await.unwrap();
        assert_eq!(received, sent);
        assert_eq!(reader.ahead.capacity(), 0);
    }
}
