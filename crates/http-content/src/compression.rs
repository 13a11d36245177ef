//! Compresses and decompresses bodies in the codings gzip and deflate (the zlib format).

use std::io::Write;

use bytes::Bytes;
use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::{Compression, Decompress, FlushDecompress, Status};
use hippocamp_backend::{Error, Result};
use hyper::HeaderMap;
use hyper::header::{CONTENT_ENCODING, HeaderName};

use crate::body::{Oversized, Segments};

/// The size of the chunks in which bodies are decompressed, in bytes. The limit can be exceeded by at most one chunk before
/// that is noticed.
const CHUNK: usize = 1 << 20;

/// The first bytes of every gzip stream. No zlib stream begins with them.
const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];

/// The highest number of gzip streams in a body. Each needs a decoder.
const MAX_MEMBERS: usize = 1 << 16;

/// The largest window of both formats, as a power of two.
const WINDOW_BITS: u8 = 15;

/// The content coding of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Identity,
    Gzip,
    Deflate,
}

impl Coding {
    pub const fn name(self) -> &'static str {
        match self {
            Coding::Identity => "identity",
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
        }
    }

    pub fn named(name: &str) -> Option<Coding> {
        [Coding::Identity, Coding::Gzip, Coding::Deflate]
            .into_iter()
            .find(|c| c.name().eq_ignore_ascii_case(name))
    }

    /// The coding of a request's body, from its `Content-Encoding` header. Fails for an unsupported coding.
    pub fn of_request(headers: &HeaderMap) -> Result<Coding> {
        let name = text(headers, &CONTENT_ENCODING).trim();
        if name.is_empty() {
            return Ok(Coding::Identity);
        }
        Coding::named(name).ok_or_else(|| Error::unsupported("Unsupported compression type"))
    }

    /// Compresses all pieces into one vector.
    pub fn compress(self, pieces: &[Bytes]) -> std::io::Result<Vec<u8>> {
        match self {
            Coding::Identity => Ok(pieces.concat()),
            Coding::Gzip => {
                let encoder = GzEncoder::new(Vec::new(), Compression::default());
                write_all(encoder, pieces)?.finish()
            }
            Coding::Deflate => {
                let encoder = ZlibEncoder::new(Vec::new(), Compression::default());
                write_all(encoder, pieces)?.finish()
            }
        }
    }

    /// Decompresses a body in either format. Fails if the result has more than `limit` bytes or the data is invalid.
    pub fn decompress(self, mut body: Segments, limit: usize) -> Result<Segments> {
        if self == Coding::Identity {
            return Ok(body);
        }
        let pieces = body.pieces();
        let gzip = pieces.iter().flatten().take(2).eq(&GZIP_MAGIC);
        let mut inflating = Inflating::new(self, gzip, limit);
        for piece in pieces {
            let mut input = &piece[..];
            while !input.is_empty() {
                if inflating.ended {
                    inflating.next_member()?;
                }
                input = inflating.step(input)?;
            }
        }
        // The decoder may still hold output for input that it has read.
        while !inflating.ended {
            inflating.step(&[])?;
        }
        Ok(inflating.out)
    }

    #[cold]
    fn broken(self, why: &str) -> Error {
        Error::invalid_arg(format!("the body of the request is no valid {}: {why}", self.name()))
    }
}

/// A body that is being decompressed.
struct Inflating {
    coding: Coding,
    gzip: bool,
    state: Decompress,
    out: Segments,
    limit: usize,
    /// Whether the end of the compressed data was reached.
    ended: bool,
    /// The number of gzip streams so far.
    members: usize,
}

impl Inflating {
    fn new(coding: Coding, gzip: bool, limit: usize) -> Inflating {
        let state = if gzip { Decompress::new_gzip(WINDOW_BITS) } else { Decompress::new(true) };
        Inflating { coding, gzip, state, out: Segments::default(), limit, ended: false, members: 1 }
    }

    /// Begins the next gzip stream after one that has ended. A gzip body may consist of several streams, whose contents are
    /// concatenated.
    fn next_member(&mut self) -> Result<()> {
        if !self.gzip {
            return Err(self.coding.broken("other bytes follow it"));
        }
        if self.members == MAX_MEMBERS {
            return Err(self.coding.broken(&format!("it is made of more than {MAX_MEMBERS} streams")));
        }
        self.members += 1;
        self.state = Decompress::new_gzip(WINDOW_BITS);
        self.ended = false;
        Ok(())
    }

    /// Decompresses as much as fits into one chunk, and returns the rest of the input. Every call makes progress or fails.
    fn step<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8]> {
        let mut chunk = Vec::with_capacity(input.len().saturating_mul(4).clamp(1024, CHUNK));
        let before = self.state.total_in();
        let status = self.state.decompress_vec(input, &mut chunk, FlushDecompress::None);
        let status = status.map_err(|e| self.coding.broken(&e.to_string()))?;
        let read = ((self.state.total_in() - before) as usize).min(input.len());
        self.ended = status == Status::StreamEnd;
        if read == 0 && chunk.is_empty() && !self.ended {
            return Err(self.coding.broken("it is cut off"));
        }
        self.out.push(chunk.into());
        if self.out.len() > self.limit {
            return Err(Oversized::Decompressed.error(None, self.limit));
        }
        Ok(&input[read..])
    }
}

fn write_all<W: Write>(mut encoder: W, pieces: &[Bytes]) -> std::io::Result<W> {
    for piece in pieces {
        encoder.write_all(piece)?;
    }
    Ok(encoder)
}

/// The value of a header; empty if it is missing or not text.
pub fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use hippocamp_backend::Code;
    use hyper::header::HeaderValue;

    use super::*;

    const LIMIT: usize = 1 << 20;

    fn decompressed(coding: Coding, body: &[u8]) -> Result<Bytes> {
        let mut segments = Segments::default();
        for piece in body.chunks(5000) {
            segments.push(Bytes::copy_from_slice(piece));
        }
        Ok(coding.decompress(segments, LIMIT)?.take(usize::MAX).to_host().unwrap())
    }

    #[test]
    fn gzip_streams_one_behind_the_other_are_one_content() {
        let content = content();
        let parts = [&content[..1000], &[], &content[1000..50_000], &content[50_000..]];
        let streams = parts.map(|part| Coding::Gzip.compress(&[Bytes::copy_from_slice(part)]).unwrap());
        assert_eq!(decompressed(Coding::Gzip, &streams.concat()).unwrap(), content);
        let cut = &streams.concat()[..streams.concat().len() - 1];
        assert!(decompressed(Coding::Gzip, cut).is_err());
        let twice = Coding::Deflate.compress(&[content.clone().into()]).unwrap().repeat(2);
        assert!(decompressed(Coding::Deflate, &twice).is_err(), "zlib knows no such thing");
        let empty = Coding::Gzip.compress(&[]).unwrap();
        assert_eq!(decompressed(Coding::Gzip, &empty.repeat(MAX_MEMBERS)).unwrap(), "");
        let error = decompressed(Coding::Gzip, &empty.repeat(MAX_MEMBERS + 1)).unwrap_err();
        assert!(error.message().ends_with("it is made of more than 65536 streams"), "{error}");
    }

    fn content() -> Vec<u8> {
        (0..200_000u32).flat_map(|i| (i.wrapping_mul(i) >> 7).to_le_bytes()).collect()
    }

    #[test]
    fn what_was_compressed_comes_back_whatever_its_format_is_called() {
        let content = content();
        for written in [Coding::Gzip, Coding::Deflate] {
            let pieces = [Bytes::copy_from_slice(&content[..1000]), Bytes::copy_from_slice(&content[1000..])];
            let compressed = written.compress(&pieces).unwrap();
            assert_ne!(compressed, content);
            for called in [Coding::Gzip, Coding::Deflate] {
                assert_eq!(decompressed(called, &compressed).unwrap(), content);
            }
        }
        assert_eq!(decompressed(Coding::Identity, &content).unwrap(), content);
    }

    #[test]
    fn broken_data_is_refused() {
        for coding in [Coding::Gzip, Coding::Deflate] {
            let whole = coding.compress(&[content().into()]).unwrap();
            let mut longer = whole.clone();
            longer.push(0);
            let mut changed = whole.clone();
            changed[whole.len() / 2] ^= 0x55;
            let cut = &whole[..whole.len() - 1];
            for broken in
                [b"notgzip", &longer[..], &changed, cut, &whole[..whole.len() / 2], b"", &whole[..1]]
            {
                let error = decompressed(coding, broken).unwrap_err();
                assert_eq!(error.code(), Code::InvalidArg);
                let text = format!("the body of the request is no valid {}: ", coding.name());
                assert!(error.message().starts_with(&text), "{error}");
            }
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        for coding in [Coding::Gzip, Coding::Deflate] {
            let fits = coding.compress(&[vec![b' '; LIMIT].into()]).unwrap();
            assert_eq!(decompressed(coding, &fits).unwrap().len(), LIMIT);
            let bomb = coding.compress(&[vec![b' '; 64 * LIMIT].into()]).unwrap();
            let error = decompressed(coding, &bomb).unwrap_err();
            assert!(
                error.message().contains("exceeds the maximum allowed value of 1048576 bytes"),
                "{error}"
            );
        }
    }

    #[test]
    fn codings_of_requests() {
        let of = |value| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(value));
            Coding::of_request(&headers)
        };
        assert_eq!(of("gzip").unwrap(), Coding::Gzip);
        assert_eq!(of("identity").unwrap(), Coding::Identity);
        assert_eq!(of("").unwrap(), Coding::Identity);
        let error = of("br").unwrap_err();
        assert_eq!((error.code(), error.message()), (Code::Unsupported, "Unsupported compression type"));
    }
}
