//! Decodes PNG, WebP and BMP by the crate `image`.

use std::io::Cursor;

use hippocamp_backend::{Error, Result};
use image::codecs::bmp::BmpDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{ColorType, ImageDecoder, ImageError, Limits};

use super::layout::Layout;
use super::orientation::Orientation;
use super::webp::Chunks;
use super::{Header, Scratch, Size, Wish, finish};
use crate::value::{Color, Image};

/// Bytes that a decoder may allocate for profiles and texts, which are not used.
const MAX_EXTRAS: u64 = 4 << 20;

pub(super) fn png(bytes: &[u8], wish: Wish, scratch: &mut Scratch, image: &mut Image) -> Result<()> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_EXTRAS);
    let mut decoder = PngDecoder::with_limits(Cursor::new(bytes), limits).map_err(bad)?;
    if decoder.is_apng().map_err(bad)? {
        return Err(animated());
    }
    let orientation = decoder.orientation().map_or(Orientation::UPRIGHT, Orientation::from);
    read(decoder, orientation, wish, scratch, image)
}

pub(super) fn webp(bytes: &[u8], wish: Wish, scratch: &mut Scratch, image: &mut Image) -> Result<()> {
    // A frame may claim to be larger than its image, and the decoder allocates before it checks that.
    let chunks = Chunks::read(bytes);
    for size in chunks.sizes() {
        super::admit(size.width as u64, size.height as u64, wish.max_pixels)?;
    }
    if chunks.is_animated {
        return Err(animated());
    }
    let decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(bad)?;
    if decoder.has_animation() {
        return Err(animated());
    }
    let orientation = chunks.exif.map_or(Orientation::UPRIGHT, Orientation::from_exif);
    read(decoder, orientation, wish, scratch, image)
}

pub(super) fn bmp(bytes: &[u8], wish: Wish, scratch: &mut Scratch, image: &mut Image) -> Result<()> {
    let decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(bad)?;
    read(decoder, Orientation::UPRIGHT, wish, scratch, image)
}

fn read(
    decoder: impl ImageDecoder,
    orientation: Orientation,
    wish: Wish,
    scratch: &mut Scratch,
    image: &mut Image,
) -> Result<()> {
    let (width, height) = decoder.dimensions();
    let layout = layout(decoder.color_type())?;
    let header = Header { size: Size::new(width as usize, height as usize), layout, orientation };
    finish(header, |out| decoder.read_image(out).map_err(bad), wish, scratch, image)
}

fn layout(color_type: ColorType) -> Result<Layout> {
    Ok(match color_type {
        ColorType::L8 => Layout::new(Color::Grey, false, false),
        ColorType::La8 => Layout::new(Color::Grey, true, false),
        ColorType::Rgb8 => Layout::new(Color::Rgb, false, false),
        ColorType::Rgba8 => Layout::new(Color::Rgb, true, false),
        ColorType::L16 => Layout::new(Color::Grey, false, true),
        ColorType::La16 => Layout::new(Color::Grey, true, true),
        ColorType::Rgb16 => Layout::new(Color::Rgb, false, true),
        ColorType::Rgba16 => Layout::new(Color::Rgb, true, true),
        other => return Err(Error::invalid_arg(format!("a picture in colours {other:?} cannot be read"))),
    })
}

#[cold]
fn animated() -> Error {
    Error::invalid_arg("it is an animation, a still picture was expected")
}

#[cold]
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn bad(error: ImageError) -> Error {
    Error::invalid_arg(format!("it cannot be read: {error}"))
}
