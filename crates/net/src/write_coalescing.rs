//! Write coalescing: the frames of a response are written in one go.
//!
//! h2 writes a data frame of more than 255 bytes as soon as it is queued, by itself: an answer of that size takes two
//! writes, because its trailers come behind, and the answers of a batch that share a connection take as many as they are.
//! Here such a frame is held until something is written that ends an answer, or until the task of the connection has its
//! next turn, which it is given at once.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Frames up to this size are copied to be held; a copy of more takes longer than the write that it saves.
const MAX_HELD_FRAME: usize = 8 << 10;

/// So much is held at most.
const MAX_HELD: usize = 64 << 10;

/// A connection that is idle keeps no more room than this.
const KEPT: usize = 4 << 10;

/// h2 writes the frames that it has gathered as one slice, and a larger data frame as a second one behind them.
const SLICES_WITH_DATA: usize = 2;

/// Holds back what h2 writes for as long as more is to be expected. Says that it was written: an error shows at a later
/// call, as it does for what the kernel holds.
#[derive(Debug)]
pub(crate) struct WriteCoalescing<IO> {
    inner: IO,
    held: Vec<u8>,
    /// How much of it was written.
    written: usize,
    /// What is held waits for more: the next flush is none.
    expects_more: bool,
}

impl<IO: AsyncWrite + Unpin> WriteCoalescing<IO> {
    pub(crate) fn new(inner: IO) -> WriteCoalescing<IO> {
        WriteCoalescing { inner, held: Vec::new(), written: 0, expects_more: false }
    }

    fn poll_write_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.held.len() {
            let count = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.held[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
        }
        self.all_written();
        Poll::Ready(Ok(()))
    }

    fn all_written(&mut self) {
        self.expects_more = false;
        self.written = 0;
        self.held.clear();
        self.held.shrink_to(KEPT);
    }

    /// Writes what is held and, as far as the kernel takes it, what comes behind. Says how much of that was written.
    fn poll_write_all(&mut self, cx: &mut Context<'_>, behind: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        while self.written < self.held.len() {
            let held = &self.held[self.written..];
            let mut slices = [IoSlice::new(held), IoSlice::new(&[]), IoSlice::new(&[])];
            let count = behind.len().min(slices.len() - 1);
            slices[1..=count].copy_from_slice(&behind[..count]);
            let count = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, &slices[..=count]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            if count > held.len() {
                let count = count - held.len();
                self.all_written();
                return Poll::Ready(Ok(count));
            }
            self.written += count;
        }
        self.all_written();
        Pin::new(&mut self.inner).poll_write_vectored(cx, behind)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for WriteCoalescing<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let size = slices.iter().map(|slice| slice.len()).sum::<usize>();
        let has_data = slices.len() >= SLICES_WITH_DATA;
        if !has_data || size > MAX_HELD_FRAME || this.held.len() + size > MAX_HELD {
            return this.poll_write_all(cx, slices);
        }
        for slice in slices {
            this.held.extend_from_slice(slice);
        }
        if !this.expects_more {
            this.expects_more = true;
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(size))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.expects_more {
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_write_held(cx))?;
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_write_held(cx))?;
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}

/// h2 begins each turn with a read.
impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for WriteCoalescing<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // If the peer takes no more now, the task is woken when it does, and reads as well then.
        if let Poll::Ready(Err(error)) = this.poll_write_held(cx) {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut this.inner).poll_read(cx, buffer)
    }
}

#[cfg(test)]
mod tests;
