//! Decodes JPEG: files of the common kind by [`hippocamp_jpeg`], all others by `zune-jpeg`, which reads every header.

use hippocamp_backend::{Error, Result};
use hippocamp_jpeg::Order;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::layout::Layout;
use super::orientation::Orientation;
use super::{Header, Size};
use crate::value::Color;

/// The largest number of scans. Progressive images have about ten; each costs a pass over the whole image, however few
/// bytes it has.
const MAX_SCANS: usize = 64;

type Inner<'a> = JpegDecoder<ZCursor<&'a [u8]>>;

/// An image whose headers were read.
pub(super) struct Decoder<'a> {
    bytes: &'a [u8],
    inner: Inner<'a>,
    header: Header,
    /// The order of the samples, if the file may be of the common kind.
    order: Option<Order>,
}

impl<'a> Decoder<'a> {
    /// Reads the headers. Allocates no memory for pixels.
    pub(super) fn open(bytes: &'a [u8], color: Color) -> Result<Decoder<'a>> {
        let (plain, order) = match color {
            Color::Rgb => ((ColorSpace::RGB, Layout::RGB), Some(Order::Rgb)),
            Color::Bgr => ((ColorSpace::BGR, Layout::BGR), Some(Order::Bgr)),
            Color::Grey => ((ColorSpace::Luma, Layout::GREY), None),
        };
        // The output colours have to be set before the headers are read, but depend on them, so some are read twice.
        let decoder = read_headers(bytes, plain.0)?;
        let colors = colors(&decoder);
        let (decoder, result) = match colors {
            ColorSpace::YCbCr => (decoder, plain),
            ColorSpace::Luma => (decoder, (ColorSpace::Luma, Layout::GREY)),
            ColorSpace::CMYK => (decoder, (ColorSpace::CMYK, Layout::INKS)),
            ColorSpace::RGB | ColorSpace::YCCK => {
                (read_headers(bytes, ColorSpace::RGB)?, (ColorSpace::RGB, Layout::RGB))
            }
            other => {
                return Err(Error::invalid_arg(format!("a picture in colours {other:?} cannot be read")));
            }
        };
        Decoder::new(bytes, decoder, result, order.filter(|_| colors == ColorSpace::YCbCr))
    }

    fn new(
        bytes: &'a [u8],
        mut inner: Inner<'a>,
        (output, layout): (ColorSpace, Layout),
        order: Option<Order>,
    ) -> Result<Decoder<'a>> {
        let Some((width, height)) = inner.dimensions() else {
            return Err(Error::invalid_arg("it ends before its header does"));
        };
        // Headers are parsed leniently, with stray bytes between them; the image data has to be complete.
        inner.set_options(options(output).set_strict_mode(true));
        let orientation = inner.exif().map_or(Orientation::UPRIGHT, |exif| Orientation::from_exif(exif));
        let header = Header { size: Size::new(width, height), layout, orientation };
        Ok(Decoder { bytes, inner, header, order })
    }

    pub(super) fn header(&self) -> Header {
        self.header
    }

    /// Refuses truncated files before memory is allocated for their pixels.
    pub(super) fn has_end(&self) -> Result<()> {
        if has_end(self.bytes) { Ok(()) } else { Err(Error::invalid_arg("it ends before the picture does")) }
    }

    /// Decodes the image. `out` has exactly the pixels of the header.
    pub(super) fn decode(mut self, common: &mut hippocamp_jpeg::Decoder, out: &mut [u8]) -> Result<()> {
        if self.order.is_some_and(|order| common.decode(self.bytes, order, out)) {
            return Ok(());
        }
        self.inner.decode_into(out).map_err(bad)
    }
}

fn read_headers(bytes: &[u8], output: ColorSpace) -> Result<Inner<'_>> {
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options(output));
    decoder.decode_headers().map_err(bad)?;
    Ok(decoder)
}

fn options(output: ColorSpace) -> DecoderOptions {
    DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_max_scans(MAX_SCANS)
        .jpeg_set_out_colorspace(output)
}

/// The colours of the image in the file.
fn colors(decoder: &Inner<'_>) -> ColorSpace {
    match (decoder.input_colorspace(), decoder.info().map(|info| info.components)) {
        // A CMYK marker in an image of three components: the marker is wrong.
        (Some(ColorSpace::CMYK), Some(3)) => ColorSpace::RGB,
        (colors, _) => colors.unwrap_or(ColorSpace::Unknown),
    }
}

/// Whether an end marker follows the beginning of the first scan. These two bytes do not occur within scans, and in
/// most files they are the last two.
fn has_end(bytes: &[u8]) -> bool {
    const END: [u8; 2] = [0xff, 0xd9];
    bytes.ends_with(&END)
        || bytes.windows(2).rposition(|pair| pair == END).is_some_and(|at| at > first_scan(bytes))
}

/// The offset of the first scan, after all segments, which may contain whole images (thumbnails).
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
    // Its Debug form is the plain text; its Display form quotes it once more.
    let text = match error {
        DecodeErrors::Format(text) => text,
        DecodeErrors::FormatStatic(text) => text.to_owned(),
        other => format!("{other:?}"),
    };
    Error::invalid_arg(format!("it cannot be read: {}", text.trim_end()))
}
