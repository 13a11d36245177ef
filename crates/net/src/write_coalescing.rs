//! Write coalescing: small frames are collected and written with one system call.
//!
//! h2 writes each data frame of more than 255 bytes by itself as soon as it is queued. So a response of that size takes two
//! writes, as its trailers follow, and the responses of a batch on one connection take several each. Here such a frame is
//! held until the end of a response is written or the connection's task runs again, which is scheduled at once.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The largest frame in bytes that is copied and held. Copying a larger one takes longer than the write that it saves.
const MAX_HELD_FRAME: usize = 8 << 10;

/// The highest number of bytes that are held.
const MAX_HELD: usize = 64 << 10;

/// The capacity in bytes that an idle connection keeps for held frames.
const KEPT: usize = 4 << 10;

/// The number of slices of a write with a large data frame: h2 writes the frames that it has gathered as one slice, and the
/// data as a second one.
const SLICES_WITH_DATA: usize = 2;

/// Holds the bytes that h2 writes while more are expected. Held bytes are reported as written; an error is returned by a
/// later call, as for bytes in the kernel's buffer.
#[derive(Debug)]
pub(crate) struct WriteCoalescing<IO> {
    inner: IO,
    held: Vec<u8>,
    /// The number of held bytes that were written.
    written: usize,
    /// Whether the held bytes wait for more, so that the next flush is skipped.
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

    /// Writes the held bytes and then those in `behind`, as far as the kernel accepts them. Returns how many bytes of
    /// `behind` were written.
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

/// Held bytes are written by a read, because h2 begins each run of the connection's task with one.
impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for WriteCoalescing<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // If the kernel accepts no more bytes now, the task is woken when it does, and reads again then.
        if let Poll::Ready(Err(error)) = this.poll_write_held(cx) {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut this.inner).poll_read(cx, buffer)
    }
}

#[cfg(test)]
mod tests;
