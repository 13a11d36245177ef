//! Reads request bodies within limits, and keeps them in the pieces in which they arrived.

use std::collections::VecDeque;
use std::pin::{Pin, pin};

use bytes::{Bytes, BytesMut};
use hippocamp_backend::{Error, Result};
use hippocamp_net::{BodyError, Source};
use hippocamp_tensor::{HostSegments, TensorData};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::header::EXPECT;

/// The largest accepted body in bytes, the highest signed 32-bit number.
pub const MAX_BODY: usize = i32::MAX as usize;

/// The highest number of non-empty chunks in a body of unknown length.
const MAX_CHUNKS: usize = 1 << 16;

/// The limit on chunks applies only if the average piece is smaller than this, because the network splits large chunks.
const SMALL_CHUNK: usize = 1024;

/// Pieces below this size are joined, so that a client that sends single bytes does not cause one allocation for each.
const SMALL: usize = 4096;

/// A queue of bytes in the order of arrival. Bytes are not copied, except small pieces after the first one.
#[derive(Debug, Default)]
pub struct Segments {
    /// The pieces, none of which is empty.
    pieces: VecDeque<Bytes>,
    /// The joined small pieces, which come after all others.
    small: BytesMut,
    len: usize,
}

impl Segments {
    /// The size in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the size is 0.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends a piece.
    pub fn push(&mut self, piece: Bytes) {
        self.len += piece.len();
        if piece.is_empty() {
        } else if piece.len() >= SMALL || self.pieces.is_empty() {
            self.flush();
            self.pieces.push_back(piece);
        } else {
            self.small.extend_from_slice(&piece);
            if self.small.len() >= SMALL * 16 {
                self.flush();
            }
        }
    }

    /// The pieces that were not taken yet.
    pub fn pieces(&mut self) -> &[Bytes] {
        self.flush();
        self.pieces.make_contiguous()
    }

    /// Takes the first `size` bytes, or all if there are fewer.
    pub fn take(&mut self, size: usize) -> TensorData {
        self.flush();
        let mut taken = HostSegments::default();
        let mut wanted = size.min(self.len);
        self.len -= wanted;
        while wanted > 0
            && let Some(first) = self.pieces.front_mut()
        {
            let piece = first.split_to(wanted.min(first.len()));
            if first.is_empty() {
                self.pieces.pop_front();
            }
            wanted -= piece.len();
            taken.push(piece);
        }
        taken.into()
    }

    fn flush(&mut self) {
        if !self.small.is_empty() {
            self.pieces.push_back(self.small.split().freeze());
        }
    }
}

impl From<Bytes> for Segments {
    fn from(piece: Bytes) -> Segments {
        let mut segments = Segments::default();
        segments.push(piece);
        segments
    }
}

/// The body of a request before any of it was read.
#[derive(Debug)]
pub struct Unread<B> {
    body: B,
    /// Whether the client waits for `100 Continue`, which the first read sends.
    waits: bool,
}

impl<B> Unread<B>
where
    B: Source,
{
    pub fn new(headers: &HeaderMap, body: B) -> Unread<B> {
        Unread { body, waits: headers.contains_key(EXPECT) }
    }

    /// Reads the whole body. `too_large` makes the error for a body of more than `limit` bytes; its argument is the size if
    /// the client announced one. Memory is allocated only for bytes that have arrived.
    pub async fn collect(self, limit: usize, too_large: impl Fn(Option<u64>) -> Error) -> Result<Segments> {
        let is_chunked = self.body.size_hint().exact().is_none();
        let announced = self.body.size_hint().lower();
        if announced > limit as u64 {
            self.discard().await;
            return Err(too_large(Some(announced)));
        }
        if let Err(error) = self.body.has_room_for(announced) {
            self.discard().await;
            return Err(unread(&error));
        }
        let mut body = pin!(self.body);
        let mut segments = Segments::default();
        let mut chunks = 0;
        while let Some(frame) = body.frame().await {
            let frame = match frame.map_err(Into::into) {
                Ok(frame) => frame,
                Err(error) => {
                    body.release(segments.len());
                    drop(segments);
                    if matches!(error, BodyError::NoRoom { .. }) {
                        drain_body(body).await;
                    }
                    return Err(unread(&error));
                }
            };
            // Trailers are ignored.
            let Ok(piece) = frame.into_data() else { continue };
            if piece.len() > limit - segments.len() {
                body.release(segments.len() + piece.len());
                drop(segments);
                drain_body(body).await;
                return Err(too_large(None));
            }
            chunks += usize::from(!piece.is_empty());
            segments.push(piece);
            if is_chunked && chunks > MAX_CHUNKS && segments.len() / chunks < SMALL_CHUNK {
                drop(segments);
                drain_body(body).await;
                return Err(too_many_chunks());
            }
        }
        Ok(segments)
    }

    /// Reads and drops the body, so that the client reads the response and can reuse its connection.
    pub async fn discard(self) {
        if !self.waits {
            drain_body(pin!(self.body)).await;
        }
    }
}

/// Reads and drops the rest of a body, up to [`MAX_BODY`] bytes.
async fn drain_body<B: Source>(mut body: Pin<&mut B>) {
    let mut left = MAX_BODY;
    while let Some(frame) = body.frame().await {
        let size = match frame.map_err(Into::into) {
            Ok(frame) => frame.data_ref().map_or(0, Bytes::len),
            // Dropped bytes need no memory, so this error is ignored.
            Err(BodyError::NoRoom { .. }) => 0,
            Err(_) => return,
        };
        match left.checked_sub(size) {
            Some(rest) => left = rest,
            None => return,
        }
        body.release(size);
    }
}

#[cold]
fn unread(error: &BodyError) -> Error {
    match error {
        BodyError::NoRoom { .. } => Error::unavailable(error.to_string()),
        BodyError::Peer(_) | BodyError::TooSlow { .. } => Error::invalid_arg(error.to_string()),
    }
}

#[cold]
fn too_many_chunks() -> Error {
    Error::invalid_arg(format!(
        "Chunked request body exceeds maximum of {MAX_CHUNKS} non-empty chunks. Send fewer or larger HTTP chunks."
    ))
}

/// What of a request is larger than `--http-max-input-size` allows. The texts are Triton's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oversized {
    /// The JSON, which may be all of the body.
    Json,
    /// A tensor that is all of the body.
    Raw,
    /// What was sent compressed.
    Decompressed,
}

impl Oversized {
    /// The error. `size` is the number of bytes if it is known.
    #[cold]
    pub fn error(self, size: Option<u64>, limit: usize) -> Error {
        let of = size.map_or_else(String::new, |size| format!(" of {size} bytes"));
        let what = match self {
            Oversized::Json => format!("request JSON size{of} exceeds the maximum allowed input size of"),
            Oversized::Raw => {
                let size = size.map_or_else(String::new, |size| format!(" ({size} bytes)"));
                format!("Raw input has a byte_size{size} that exceeds the maximum allowed value of")
            }
            Oversized::Decompressed => {
                "Decompressed data size exceeds the maximum allowed value of".to_owned()
            }
        };
        Error::invalid_arg(format!("{what} {limit} bytes. Use --http-max-input-size to increase the limit."))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::{Body, Frame};

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    /// A body that does not say how large it is.
    struct Chunked(VecDeque<Bytes>);

    impl Body for Chunked {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
    }

    impl Source for Chunked {}

    fn in_pieces(pieces: &[Bytes]) -> Chunked {
        Chunked(pieces.iter().cloned().collect())
    }

    fn collect<B>(body: B, limit: usize) -> Result<Segments>
    where
        B: Source,
    {
        let refused = |size: Option<u64>| Error::invalid_arg(format!("{size:?}"));
        block_on(Unread::new(&HeaderMap::new(), body).collect(limit, refused))
    }

    #[test]
    fn large_pieces_are_never_copied() {
        let first = Bytes::from(vec![1; SMALL]);
        let second = Bytes::from(vec![2; SMALL]);
        let body = in_pieces(&[first.clone(), second.clone()]);
        let mut segments = collect(body, 2 * SMALL).unwrap();
        assert_eq!(segments.len(), 2 * SMALL);
        let head = segments.take(SMALL + 1);
        assert_eq!(head.as_segments().unwrap()[0].as_ptr(), first.as_ptr());
        assert_eq!(head.as_segments().unwrap()[1].as_ptr(), second.as_ptr());
        let rest = segments.take(usize::MAX);
        assert_eq!(rest.as_contiguous().unwrap().as_ptr(), second[1..].as_ptr());
        assert_eq!((rest.len(), segments.len()), (SMALL - 1, 0));
    }

    #[test]
    fn small_pieces_are_joined_in_order() {
        let mut segments = Segments::from(Bytes::from_static(b"first"));
        for byte in 0..200_000usize {
            segments.push(Bytes::copy_from_slice(&[byte as u8]));
        }
        segments.push(Bytes::from(vec![9; SMALL]));
        segments.push(Bytes::from_static(b"z"));
        assert!(segments.pieces().len() < 10);
        let all = segments.take(usize::MAX).to_host().unwrap();
        assert_eq!(all.len(), 5 + 200_000 + SMALL + 1);
        assert_eq!(all[..5], *b"first");
        assert!(all[5..200_005].iter().enumerate().all(|(i, &byte)| byte == i as u8));
        assert_eq!(all.last(), Some(&b'z'));
    }

    #[test]
    fn a_body_over_the_limit_is_refused_by_what_it_announces_or_by_what_comes() {
        let announced = http_body_util::Full::new(Bytes::from_static(b"abcd"));
        assert_eq!(collect(announced, 3).unwrap_err().message(), "Some(4)");
        let body = in_pieces(&[Bytes::from_static(b"ab"), Bytes::from_static(b"cd")]);
        assert_eq!(collect(body, 3).unwrap_err().message(), "None");
    }

    #[test]
    fn a_body_in_too_many_small_chunks_is_refused() {
        let in_chunks = |count: usize, size: usize| {
            let chunk = Bytes::from(vec![b' '; size]);
            collect(Chunked((0..count).flat_map(|_| [Bytes::new(), chunk.clone()]).collect()), usize::MAX)
        };
        assert_eq!(in_chunks(MAX_CHUNKS, 1).unwrap().len(), MAX_CHUNKS);
        assert_eq!(
            in_chunks(MAX_CHUNKS + 1, 1).unwrap_err().message(),
            "Chunked request body exceeds maximum of 65536 non-empty chunks. Send fewer or larger HTTP chunks."
        );
        assert!(in_chunks(MAX_CHUNKS + 1, SMALL_CHUNK).is_ok(), "pieces as the network cuts them");
    }

    #[test]
    fn what_is_of_no_use_is_read_over_unless_the_client_waits() {
        let body = || in_pieces(&[Bytes::from_static(b"ab"), Bytes::from_static(b"cd")]);
        let mut read = body();
        block_on(drain_body(Pin::new(&mut read)));
        assert!(read.0.is_empty());
        let mut headers = HeaderMap::new();
        headers.insert(EXPECT, hyper::header::HeaderValue::from_static("100-continue"));
        assert!(Unread::new(&headers, body()).waits);
        assert!(!Unread::new(&HeaderMap::new(), body()).waits);
    }
}
