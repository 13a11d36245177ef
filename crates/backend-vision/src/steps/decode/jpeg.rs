//! Decodes JPEG: files of the common kind by [`hippocamp_jpeg`], and those that `zune-jpeg` gets wrong; all others by that.

use hippocamp_backend::{Error, Result};
use hippocamp_jpeg::{Colors, Frame, Order};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::layout::Layout;
use super::orientation::Orientation;
use super::{Header, Scratch, Size, Wish, finish};
use crate::value::{Color, Image};

/// The largest number of scans. Progressive images have about ten; each costs a pass over the whole image, however few
/// bytes it has.
const MAX_SCANS: usize = 64;

type Inner<'a> = JpegDecoder<ZCursor<&'a [u8]>>;

/// Decodes a file and converts it to the requested form.
pub(super) fn decode(bytes: &[u8], wish: Wish, scratch: &mut Scratch, image: &mut Image) -> Result<()> {
    let frame = Frame::read(bytes);
    if let Some(whole) = frame.as_ref().and_then(|frame| frame.with_huffman_tables(bytes)) {
        return read(&whole, Frame::read(&whole), wish, scratch, image);
    }
    read(bytes, frame, wish, scratch, image)
}

fn read(
    bytes: &[u8],
    frame: Option<Frame<'_>>,
    wish: Wish,
    scratch: &mut Scratch,
    image: &mut Image,
) -> Result<()> {
    let decoder = Decoder::open(bytes, frame, wish.color)?;
    let header = decoder.header();
    header.admit(wish.max_pixels)?;
    if !has_end(bytes) {
        return Err(Error::invalid_arg("it ends before the picture does"));
    }
    let mut common = std::mem::take(&mut scratch.jpeg);
    let finished = finish(header, |out| decoder.decode(bytes, &mut common, out), wish, scratch, image);
    scratch.jpeg = common;
    finished
}

/// The decoder of an image whose headers were read.
enum Decoder<'a> {
    /// `zune-jpeg`, and the order of the samples if the file may be of the common kind.
    General(Box<Inner<'a>>, Header, Option<Order>),
    /// That of what `zune-jpeg` takes for another image.
    Sequential(Frame<'a>, Header),
}

impl<'a> Decoder<'a> {
    /// Reads the headers. Allocates no memory for pixels.
    fn open(bytes: &'a [u8], frame: Option<Frame<'a>>, color: Color) -> Result<Decoder<'a>> {
        match frame {
            Some(frame) if !frame.is_usual() => {
                let orientation = frame.exif.map_or(Orientation::UPRIGHT, Orientation::from_exif);
                let size = Size::new(frame.width, frame.height);
                let header = Header { size, layout: samples(frame.colors).1, orientation };
                Ok(Decoder::Sequential(frame, header))
            }
            frame => Decoder::general(bytes, frame.as_ref(), color),
        }
    }

    fn general(bytes: &'a [u8], frame: Option<&Frame<'_>>, color: Color) -> Result<Decoder<'a>> {
        let (plain, order) = match color {
            Color::Rgb => ((ColorSpace::RGB, Layout::RGB), Some(Order::Rgb)),
            Color::Bgr => ((ColorSpace::BGR, Layout::BGR), Some(Order::Bgr)),
            Color::Grey => ((ColorSpace::Luma, Layout::GREY), None),
        };
        // The output colours have to be set before the headers are read, but depend on them, so some are read twice.
        let mut decoder = read_headers(bytes, plain.0)?;
        let found = colors(&decoder)?;
        let meant = frame.map_or(found, |frame| frame.colors);
        // Of a progressive file whose chroma has half the rows, `zune-jpeg` mixes up the rows of luma if that alone is asked for.
        let mixes_up = color == Color::Grey
            && frame.is_some_and(|frame| frame.is_progressive && frame.halves_rows_only());
        let (output, layout) = match found {
            // The file's own samples, where `zune-jpeg` has another rule for colours than all others.
            _ if found != meant => (samples(found).0, samples(meant).1),
            Colors::YCbCr if mixes_up => samples(found),
            Colors::YCbCr => plain,
            Colors::Grey | Colors::Cmyk => samples(found),
            Colors::Rgb | Colors::Ycck => (ColorSpace::RGB, Layout::RGB),
        };
        if output != plain.0 && !matches!(output, ColorSpace::Luma | ColorSpace::CMYK) {
            decoder = read_headers(bytes, output)?;
        }
        let Some((width, height)) = decoder.dimensions() else {
            return Err(Error::invalid_arg("it ends before its header does"));
        };
        // Headers are parsed leniently, with stray bytes between them, and the image data strictly. What is missing before an end
        // that is there is grey all the same, as for libjpeg.
        decoder.set_options(options(output).set_strict_mode(true));
        // Of several blocks the first counts, as for OpenCV and Pillow; for `zune-jpeg` it is the last.
        let exif = frame.map_or_else(|| decoder.exif().map(Vec::as_slice), |frame| frame.exif);
        let orientation = exif.map_or(Orientation::UPRIGHT, Orientation::from_exif);
        let header = Header { size: Size::new(width, height), layout, orientation };
        let order = order.filter(|_| output == plain.0 && found == Colors::YCbCr);
        Ok(Decoder::General(Box::new(decoder), header, order))
    }

    fn header(&self) -> Header {
        let (Decoder::General(_, header, _) | Decoder::Sequential(_, header)) = self;
        *header
    }

    /// Decodes the image. `out` has exactly the pixels of the header.
    fn decode(self, bytes: &[u8], common: &mut hippocamp_jpeg::Decoder, out: &mut [u8]) -> Result<()> {
        match self {
            Decoder::Sequential(frame, _) => hippocamp_jpeg::decode_sequential(bytes, &frame, out)
                .map_err(|fault| Error::invalid_arg(format!("it cannot be read: {fault}"))),
            Decoder::General(_, _, Some(order)) if common.decode(bytes, order, out) => Ok(()),
            Decoder::General(mut general, ..) => general.decode_into(out).map_err(bad),
        }
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

/// What to ask for to get the file's own samples in these colours, and what they are then.
fn samples(colors: Colors) -> (ColorSpace, Layout) {
    match colors {
        Colors::Grey => (ColorSpace::Luma, Layout::GREY),
        Colors::YCbCr => (ColorSpace::YCbCr, Layout::YCBCR),
        Colors::Rgb => (ColorSpace::RGB, Layout::RGB),
        Colors::Cmyk => (ColorSpace::CMYK, Layout::INKS),
        Colors::Ycck => (ColorSpace::YCCK, Layout::YCCK),
    }
}

/// The colours of the image as `zune-jpeg` takes them.
fn colors(decoder: &Inner<'_>) -> Result<Colors> {
    match (decoder.input_colorspace(), decoder.info().map(|info| info.components)) {
        // As for a marker of four components, which is wrong in an image of three: they are taken otherwise later.
        (Some(ColorSpace::YCbCr), _) | (Some(ColorSpace::YCCK), Some(3)) => Ok(Colors::YCbCr),
        (Some(ColorSpace::Luma), _) => Ok(Colors::Grey),
        (Some(ColorSpace::RGB), _) | (Some(ColorSpace::CMYK), Some(3)) => Ok(Colors::Rgb),
        (Some(ColorSpace::CMYK), _) => Ok(Colors::Cmyk),
        (Some(ColorSpace::YCCK), _) => Ok(Colors::Ycck),
        (other, _) => {
            let other = other.unwrap_or(ColorSpace::Unknown);
            Err(Error::invalid_arg(format!("a picture in colours {other:?} cannot be read")))
        }
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
