//! JPEG, by `zune-jpeg`.

use hippocamp_backend::{Error, Result};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::layout::Layout;
use super::orientation::Orientation;
use super::{Header, Size};
use crate::value::Color;

/// A progressive picture has ten scans or so. Each costs a pass over all of it, however few bytes it has.
const MAX_SCANS: usize = 64;

/// A picture whose headers are read.
pub(super) struct Decoder<'a> {
    bytes: &'a [u8],
    inner: JpegDecoder<ZCursor<&'a [u8]>>,
    header: Header,
}

impl<'a> Decoder<'a> {
    /// Reads the headers. Takes no memory for the picture.
    pub(super) fn open(bytes: &'a [u8], color: Color) -> Result<Decoder<'a>> {
        // Headers are read as everybody does, with stray bytes between them; the data has to be whole.
        let lenient = DecoderOptions::default()
            .set_strict_mode(false)
            .set_max_width(usize::from(u16::MAX))
            .set_max_height(usize::from(u16::MAX))
            .jpeg_set_max_scans(MAX_SCANS);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), lenient);
        decoder.decode_headers().map_err(bad)?;
        let Some((width, height)) = decoder.dimensions() else {
            return Err(Error::invalid_arg("it ends before its header does"));
        };
        let input = decoder.input_colorspace().unwrap_or(ColorSpace::Unknown);
        let (output, layout) = output(input, color)?;
        decoder.set_options(lenient.set_strict_mode(true).jpeg_set_out_colorspace(output));
        let orientation = decoder.exif().map_or(Orientation::UPRIGHT, |exif| Orientation::from_exif(exif));
        let header = Header { size: Size::new(width, height), layout, orientation };
        Ok(Decoder { bytes, inner: decoder, header })
    }

    pub(super) fn header(&self) -> Header {
        self.header
    }

    /// Reads the picture. `out` has room for exactly the pixels of the header.
    pub(super) fn decode(mut self, out: &mut [u8]) -> Result<()> {
        if !has_end(self.bytes) {
            return Err(Error::invalid_arg("it ends before the picture does"));
        }
        self.inner.decode_into(out).map_err(bad)
    }
}

/// What the decoder shall make of what it finds, as near as it can come to what is wished.
fn output(input: ColorSpace, color: Color) -> Result<(ColorSpace, Layout)> {
    let plain = match color {
        Color::Rgb => (ColorSpace::RGB, Layout::RGB),
        Color::Bgr => (ColorSpace::BGR, Layout::BGR),
        Color::Grey => (ColorSpace::Luma, Layout::GREY),
    };
    match input {
        ColorSpace::YCbCr => Ok(plain),
        ColorSpace::Luma => Ok((ColorSpace::Luma, Layout::GREY)),
        ColorSpace::RGB | ColorSpace::CMYK | ColorSpace::YCCK => Ok((ColorSpace::RGB, Layout::RGB)),
        other => Err(Error::invalid_arg(format!("a picture in colours {other:?} cannot be read"))),
    }
}

/// Whether the marker that ends a picture comes after the first scan begins. Between scans and in their data these two
/// bytes cannot stand together, and in most files they are the last two.
fn has_end(bytes: &[u8]) -> bool {
    const END: [u8; 2] = [0xff, 0xd9];
    bytes.ends_with(&END)
        || bytes.windows(2).rposition(|pair| pair == END).is_some_and(|at| at > first_scan(bytes))
}

/// Where the first scan begins: behind all segments, which may hold whole pictures themselves.
fn first_scan(bytes: &[u8]) -> usize {
    const SCAN: u8 = 0xda;
    let mut at = 2;
    while let Some([0xff, marker, high, low]) = bytes.get(at..at + 4) {
        match *marker {
            SCAN => return at,
            // Fill bytes.
            0xff => at += 1,
            _ => at += 2 + usize::from(u16::from_be_bytes([*high, *low])),
        }
    }
    at
}

#[cold]
fn bad(error: DecodeErrors) -> Error {
    // Its Debug form is the text, its Display form is the Debug form quoted once more.
    let text = match error {
        DecodeErrors::Format(text) => text,
        DecodeErrors::FormatStatic(text) => text.to_owned(),
        other => format!("{other:?}"),
    };
    Error::invalid_arg(format!("it cannot be read: {}", text.trim_end()))
}
