//! `decode`: decodes an image file.

mod format;
mod jpeg;
mod layout;
mod orientation;
mod others;
#[cfg(test)]
mod tests;
mod webp;

use std::panic::{AssertUnwindSafe, catch_unwind};

use hippocamp_backend::{Code, Error, Result};
use serde::Deserialize;

use crate::pipeline::Ports;
use crate::step::{Step, StepFile};
use crate::value::{Affine, Color, Image, ImageKind, Kind, Pixels, Sample, Size, Slot, Value, Values};
use format::Format;
use layout::Layout;
use orientation::Orientation;

/// 64 million pixels: 192 MiB of RGB.
const MAX_PIXELS: u64 = 1 << 26;

/// Image memory beyond this many bytes is released when the next image is smaller.
const KEPT: usize = 64 << 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decode {
    input: String,
    output: String,
    /// The name of the value that gets the image's size.
    size: Option<String>,
    #[serde(default)]
    color: Color,
    #[serde(default)]
    exif_orientation: bool,
    /// The background of transparent pixels in RGB; by default the alpha channel is dropped.
    background: Option<[u8; 3]>,
    max_pixels: Option<u64>,
    #[serde(default)]
    on_error: OnError,
}

/// How bytes that are no valid image are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnError {
    /// The request fails.
    #[default]
    Fail,
    /// The image is replaced by a black one, which is reported in the log and in the response.
    Black,
}

/// The size of the replacement: small, but large enough for networks that shrink their input a lot.
const BLACK: Size = Size { width: 320, height: 320 };

#[derive(Clone, Debug)]
struct DecodeStep {
    input: Slot,
    output: Slot,
    size: Option<Slot>,
    wish: Wish,
    on_error: OnError,
    scratch: Scratch,
}

/// The requested result.
#[derive(Clone, Copy, Debug)]
struct Wish {
    color: Color,
    upright: bool,
    background: Option<[u8; 3]>,
    max_pixels: u64,
}

/// Memory for intermediate images, reused from image to image.
#[derive(Clone, Debug, Default)]
struct Scratch {
    raw: Vec<u8>,
    colored: Vec<u8>,
    jpeg: hippocamp_jpeg::Decoder,
}

impl StepFile for Decode {
    const OP: &'static str = "decode";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        let max_pixels = self.max_pixels.unwrap_or(MAX_PIXELS);
        if max_pixels == 0 {
            ports.fault("max_pixels", "'max_pixels' was expected to be 1 or more");
        }
        let kind = ImageKind { size: None, color: self.color, sample: Sample::Uint8 };
        Box::new(DecodeStep {
            input: ports.read_encoded("input", &self.input),
            output: ports.write("output", &self.output, Kind::Image(kind)),
            size: ports.write_if_named("size", self.size.as_deref(), Kind::Size),
            wish: Wish {
                color: self.color,
                upright: self.exif_orientation,
                background: self.background,
                max_pixels,
            },
            on_error: self.on_error,
            scratch: Scratch::default(),
        })
    }
}

impl Step for DecodeStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let mut image = values.take_image(self.output);
        image.give_back(KEPT);
        let bytes = values.encoded(self.input)?;
        let decoded = decode_hostile(bytes, self.wish, &mut self.scratch, &mut image);
        self.scratch.give_back();
        match decoded {
            Err(error) if self.on_error == OnError::Black && error.code() == Code::InvalidArg => {
                values.replace_picture(error.message());
                image.begin_u8(BLACK, self.wish.color)?.fill(0);
            }
            decoded => decoded?,
        }
        image.came_from(image.size, Affine::IDENTITY);
        values.set_if_named(self.size, Value::Size(image.size));
        values.set(self.output, Value::Image(image));
        Ok(())
    }
}

/// Fields of the image's header.
#[derive(Clone, Copy, Debug)]
struct Header {
    size: Size,
    layout: Layout,
    orientation: Orientation,
}

impl Header {
    /// Refuses images that are too large. To be called before memory is allocated for the image.
    fn admit(&self, max_pixels: u64) -> Result<()> {
        admit(self.size.width as u64, self.size.height as u64, max_pixels)
    }
}

fn admit(width: u64, height: u64, max_pixels: u64) -> Result<()> {
    if width == 0 || height == 0 {
        return Err(Error::invalid_arg(format!("the picture has no pixels, its size is {width}x{height}")));
    }
    let pixels = width.saturating_mul(height);
    if pixels > max_pixels {
        return Err(Error::invalid_arg(format!(
            "the picture says that it has {width}x{height} pixels, {max_pixels} are allowed (max_pixels)"
        )));
    }
    Ok(())
}

/// Decodes untrusted bytes. If a decoder panics, only that image fails: the memory that it wrote to is overwritten by
/// the next one.
fn decode_hostile(bytes: &[u8], wish: Wish, scratch: &mut Scratch, image: &mut Image) -> Result<()> {
    unharmed(|| decode(bytes, wish, scratch, image))
}

fn unharmed(decode: impl FnOnce() -> Result<()>) -> Result<()> {
    let decoded = catch_unwind(AssertUnwindSafe(decode));
    decoded.unwrap_or_else(|_| Err(Error::invalid_arg("the picture cannot be decoded")))
}

fn decode(bytes: &[u8], wish: Wish, scratch: &mut Scratch, image: &mut Image) -> Result<()> {
    let format = Format::of(bytes)?;
    let result = match format {
        Format::Jpeg => jpeg::decode(bytes, wish, scratch, image),
        Format::Png => others::png(bytes, wish, scratch, image),
        Format::WebP => others::webp(bytes, wish, scratch, image),
        Format::Bmp => others::bmp(bytes, wish, scratch, image),
    };
    result.map_err(|error| Error::new(error.code(), format!("{format}: {}", error.message())))
}

/// Decodes and converts to the requested form. If no conversion is needed, the image is decoded in place.
fn finish(
    header: Header,
    read: impl FnOnce(&mut [u8]) -> Result<()>,
    wish: Wish,
    scratch: &mut Scratch,
    image: &mut Image,
) -> Result<()> {
    header.admit(wish.max_pixels)?;
    let orientation = if wish.upright { header.orientation } else { Orientation::UPRIGHT };
    let Header { size, layout, .. } = header;
    let direct = layout.is(wish.color);
    if direct && orientation == Orientation::UPRIGHT {
        return read(image.begin_u8(size, wish.color)?);
    }
    let raw = room(&mut scratch.raw, size, layout.bytes())?;
    read(raw)?;
    let channels = wish.color.channels();
    if orientation == Orientation::UPRIGHT {
        layout.convert(raw, wish.color, wish.background, image.begin_u8(size, wish.color)?);
        return Ok(());
    }
    let upright = if direct {
        raw
    } else {
        let colored = room(&mut scratch.colored, size, channels)?;
        layout.convert(raw, wish.color, wish.background, colored);
        colored
    };
    let out = image.begin_u8(orientation.size(size), wish.color)?;
    orientation.apply(upright, size, channels, out);
    Ok(())
}

/// Memory for that many bytes a pixel, with undefined content.
fn room(memory: &mut Vec<u8>, size: Size, bytes: usize) -> Result<&mut [u8]> {
    let none =
        || Error::internal(format!("there is no memory for a picture of {}x{}", size.width, size.height));
    let count = size.pixels().checked_mul(bytes).ok_or_else(none)?;
    if count > memory.capacity() {
        *memory = Vec::new();
        memory.try_reserve_exact(count).map_err(|_| none())?;
    }
    memory.resize(count, 0);
    Ok(memory)
}

impl Scratch {
    fn give_back(&mut self) {
        for memory in [&mut self.raw, &mut self.colored] {
            if memory.capacity() > KEPT {
                *memory = Vec::new();
            }
        }
        self.jpeg.give_back(KEPT);
    }
}

/// Decodes a single image to RGB as the step does that has no other parameters: the size, and three bytes a pixel.
pub(crate) fn decode_rgb(bytes: &[u8]) -> Result<(Size, Vec<u8>)> {
    let mut image = Image::default();
    let wish = Wish { color: Color::Rgb, upright: false, background: None, max_pixels: MAX_PIXELS };
    decode_hostile(bytes, wish, &mut Scratch::default(), &mut image)?;
    match image.pixels {
        Pixels::U8(pixels) => Ok((image.size, pixels)),
        Pixels::F32(_) => Err(Error::internal("a decoded picture has 8 bits a sample")),
    }
}

/// Decodes a single image.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn decode_alone(bytes: &[u8], max_pixels: u64) -> Result<Image> {
    let mut image = Image::default();
    let wish = Wish { color: Color::Rgb, upright: true, background: Some([0; 3]), max_pixels };
    decode_hostile(bytes, wish, &mut Scratch::default(), &mut image)?;
    Ok(image)
}
