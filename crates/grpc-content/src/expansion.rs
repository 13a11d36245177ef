//! Compressed messages, decompressed within limits.
//!
//! A few kilobytes may expand to what takes a good part of a second to write, so only the beginning of a message is
//! decompressed on the thread of its connection. A message that goes on after that is moved to another thread as it is by then.

use std::collections::VecDeque;
use std::io::Read;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use tokio::task::{JoinHandle, spawn_blocking};
use tonic::Status;
use tonic::codegen::http::HeaderMap;

use crate::HEADER;

/// The size in bytes that every compressed message may expand to, however small it is.
const FREE_EXPANSION: usize = 64 << 20;

/// The factor of its compressed size by which a message may expand beyond [`FREE_EXPANSION`]. Real tensors rarely compress
/// to a tenth, a decompression bomb to a thousandth.
const EXPANSION: usize = 32;

/// The size in bytes up to which a message is decompressed at once.
const AT_ONCE: usize = 64 << 10;

/// The compression of a request's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Gzip,
    Deflate,
}

impl Encoding {
    /// Of a call with these headers; `None` if its messages are plain, or compressed in a way that the codec refuses.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Encoding> {
        match headers.get("grpc-encoding")?.as_bytes() {
            b"gzip" => Some(Encoding::Gzip),
            b"deflate" => Some(Encoding::Deflate),
            _ => None,
        }
    }
}

/// A plain message: its header and its content.
pub(crate) type Expanded = Result<[Bytes; 2], Status>;

/// A message that was decompressed, or is being so on another thread.
#[derive(Debug)]
pub(crate) enum Expansion {
    Done([Bytes; 2]),
    Elsewhere(JoinHandle<Expanded>),
}

impl Expansion {
    /// Begins with the frames of a compressed message, without its header. The plain message may have `largest` bytes.
    pub(crate) fn begin(
        encoding: Encoding,
        frames: impl IntoIterator<Item = Bytes>,
        largest: usize,
    ) -> Result<Expansion, Status> {
        let frames = FrameReader(frames.into_iter().collect());
        let length = frames.0.iter().map(Bytes::len).sum();
        let reader: Box<dyn Read + Send> = match encoding {
            Encoding::Gzip => Box::new(MultiGzDecoder::new(frames)),
            Encoding::Deflate => Box::new(ZlibDecoder::new(frames)),
        };
        let limit = FREE_EXPANSION.saturating_add(EXPANSION.saturating_mul(length)).min(largest);
        let mut expanding = Expanding { reader, message: Vec::new(), length, limit };
        if limit <= AT_ONCE || expanding.has_at_most(AT_ONCE)? {
            return expanding.finish().map(Expansion::Done);
        }
        Ok(Expansion::Elsewhere(spawn_blocking(|| expanding.finish())))
    }
}

struct Expanding {
    reader: Box<dyn Read + Send>,
    /// What was decompressed so far.
    message: Vec<u8>,
    /// The compressed size.
    length: usize,
    limit: usize,
}

impl Expanding {
    /// Reads on to the end, or until there are more than `size` bytes.
    fn has_at_most(&mut self, size: usize) -> Result<bool, Status> {
        let more = size.saturating_add(1).saturating_sub(self.message.len());
        let read = self.reader.by_ref().take(more as u64).read_to_end(&mut self.message);
        read.map_err(|e| Status::invalid_argument(format!("failed to decompress the request: {e}")))?;
        Ok(self.message.len() <= size)
    }

    fn finish(mut self) -> Expanded {
        let (length, limit) = (self.length, self.limit);
        if !self.has_at_most(limit)? {
            return Err(Status::resource_exhausted(format!(
                "a compressed request of {length} bytes unpacks to more than {limit} bytes; send it uncompressed"
            )));
        }
        let mut header = BytesMut::with_capacity(HEADER);
        header.put_u8(0);
        header.put_u32(self.message.len() as u32);
        Ok([header.freeze(), self.message.into()])
    }
}

/// A reader of the frames' bytes in order.
struct FrameReader(VecDeque<Bytes>);

impl Read for FrameReader {
    fn read(&mut self, target: &mut [u8]) -> std::io::Result<usize> {
        while self.0.front().is_some_and(Bytes::is_empty) {
            self.0.pop_front();
        }
        let Some(frame) = self.0.front_mut() else { return Ok(0) };
        let count = frame.len().min(target.len());
        frame.copy_to_slice(&mut target[..count]);
        Ok(count)
    }
}
