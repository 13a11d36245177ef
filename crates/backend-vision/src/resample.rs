//! Resizes images: bilinear, bicubic, Lanczos, area and nearest.
//!
//! `fast_image_resize` does bilinear resizing of 8-bit images with half-pixel centres without antialiasing. The rest is
//! implemented here: Pillow's filters with identical results, OpenCV's `INTER_AREA` and `INTER_NEAREST`, the
//! coordinates of TensorFlow 1, and results that are not rounded.

mod area;
mod bilinear;
mod filtered;
mod fixed_point;
mod half;
mod nearest;
mod perspective;
#[cfg(test)]
mod tests;
mod warp;
mod window;

use fast_image_resize::images::{TypedCroppedImageMut, TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};
use hippocamp_backend::{Error, Result};
use serde::Deserialize;

use crate::value::{Image, Pixels, Size};
use area::Area;
use bilinear::{Bilinear, Places};
use filtered::{Filter, Filtered, Fixed, Float};
pub(crate) use fixed_point::FixedPoint;
pub(crate) use perspective::{Perspective, Source};
pub(crate) use warp::Warper;
pub(crate) use window::Window;

/// The interpolation method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Method {
    /// Without antialiasing from the four nearest samples, even if the image shrinks (OpenCV's `INTER_LINEAR`); with
    /// antialiasing Pillow's `BILINEAR`.
    #[default]
    Bilinear,
    /// OpenCV's `INTER_LINEAR` to the last bit, by its fixed-point numbers, for 8-bit samples.
    Opencv,
    /// Pillow's `BICUBIC`, always antialiased.
    Bicubic,
    /// Pillow's `LANCZOS`, always antialiased.
    Lanczos,
    /// The mean of the area that a pixel covers: OpenCV's `INTER_AREA`.
    Area,
    /// The sample at the pixel's upper left corner: OpenCV's `INTER_NEAREST`.
    Nearest,
}

/// The position of a pixel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Coordinates {
    /// At the middle of its area, as in OpenCV, Pillow and PyTorch.
    #[default]
    HalfPixel,
    /// At its upper left corner, the default of TensorFlow 1.
    TfLegacy,
}

/// The type of a sample.
pub(crate) trait Scalar: Copy + Default + PartialEq + Into<f32> + Send + Sync {
    fn to_f32(self) -> f32;
    /// The nearest value of the type.
    fn from_f32(value: f32) -> Self;
}

impl Scalar for u8 {
    fn to_f32(self) -> f32 {
        f32::from(self)
    }

    fn from_f32(value: f32) -> u8 {
        (value + 0.5) as u8
    }
}

impl Scalar for f32 {
    fn to_f32(self) -> f32 {
        self
    }

    fn from_f32(value: f32) -> f32 {
        value
    }
}

/// The implementation for a combination of method and settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Filtered(Filter),
    Bilinear(Places),
    FixedPoint,
    Area,
    Nearest,
}

/// The longest side for methods with tables: a table is as long as the side, which the file determines.
const MAX_FILTERED_SIDE: usize = 65_535;

/// Resizes images. Keeps its tables and memory between images.
pub(crate) struct Resampler {
    way: Way,
    resizer: Resizer,
    bilinear: Bilinear,
    fixed_point: FixedPoint,
    area: Area,
    fixed: Filtered<Fixed>,
    float: Filtered<Float>,
    columns: Vec<usize>,
    means: Vec<u8>,
}

impl Resampler {
    /// Bicubic and Lanczos are always antialiased, area and nearest never; `coordinates` only matter for bilinear
    /// without antialiasing.
    pub(crate) fn new(method: Method, coordinates: Coordinates, antialias: bool) -> Resampler {
        Resampler::of(match method {
            Method::Bilinear if antialias => Way::Filtered(Filter::Bilinear),
            Method::Bilinear => Way::Bilinear(match coordinates {
                Coordinates::HalfPixel => Places::HalfPixel,
                Coordinates::TfLegacy => Places::TfLegacy,
            }),
            Method::Opencv => Way::FixedPoint,
            Method::Bicubic => Way::Filtered(Filter::Bicubic),
            Method::Lanczos => Way::Filtered(Filter::Lanczos),
            Method::Area => Way::Area,
            Method::Nearest => Way::Nearest,
        })
    }

    fn of(way: Way) -> Resampler {
        Resampler {
            way,
            resizer: Resizer::default(),
            bilinear: Bilinear::default(),
            fixed_point: FixedPoint::default(),
            area: Area::default(),
            fixed: Filtered::default(),
            float: Filtered::default(),
            columns: Vec::new(),
            means: Vec::new(),
        }
    }

    /// Resizes an image into a window of an 8-bit image.
    pub(crate) fn write_u8(&mut self, from: &Image, mut to: Window<'_, u8>) -> Result<()> {
        let (size, target) = (from.size, to.size());
        match (&from.pixels, self.way) {
            (Pixels::U8(samples), Way::Filtered(filter)) if size != target => {
                admit(size)?;
                self.fixed.run(filter, samples, size, &mut to, |sample| sample);
            }
            (Pixels::U8(samples), Way::Bilinear(Places::HalfPixel) | Way::Area)
                if half::is_half(size, target) =>
            {
                half::run(samples, size, &mut self.means, &mut to);
            }
            (Pixels::U8(samples), Way::Bilinear(Places::HalfPixel)) if size != target => {
                return self.fast(samples, size, &mut to);
            }
            (Pixels::U8(samples), Way::FixedPoint) if size != target => {
                self.fixed_point.run(samples, size, &mut to);
            }
            (Pixels::U8(samples), _) => return self.run(samples, size, &mut to),
            (Pixels::F32(samples), _) => return self.run(samples, size, &mut to),
        }
        Ok(())
    }

    /// Resizes an image into a window of an FP32 image, without rounding.
    pub(crate) fn write_f32(&mut self, from: &Image, mut to: Window<'_, f32>) -> Result<()> {
        match &from.pixels {
            Pixels::U8(samples) => self.run(samples, from.size, &mut to),
            Pixels::F32(samples) => self.run(samples, from.size, &mut to),
        }
    }

    fn run<S: Scalar, T: Scalar>(&mut self, from: &[S], size: Size, to: &mut Window<'_, T>) -> Result<()> {
        match self.way {
            _ if size == to.size() => nearest::run(from, size, &mut self.columns, to),
            Way::Nearest => nearest::run(from, size, &mut self.columns, to),
            Way::Area if shrinks(size, to.size()) => self.area.run(from, size, to),
            Way::Area => self.bilinear.run(from, size, Places::Area, to),
            Way::Bilinear(places) => self.bilinear.run(from, size, places, to),
            Way::FixedPoint => self.bilinear.run(from, size, Places::HalfPixel, to),
            Way::Filtered(filter) => {
                admit(size)?;
                self.float.run(filter, from, size, to, T::from_f32);
            }
        }
        Ok(())
    }

    fn fast(&mut self, from: &[u8], size: Size, to: &mut Window<'_, u8>) -> Result<()> {
        if to.channels() == 1 {
            self.fast_pixels::<U8>(from, size, to)
        } else {
            self.fast_pixels::<U8x3>(from, size, to)
        }
    }

    /// The type of the pixels is known here: with one that is found at run time, the library's code for all others would be
    /// compiled, too.
    fn fast_pixels<P: PixelTrait>(&mut self, from: &[u8], size: Size, to: &mut Window<'_, u8>) -> Result<()> {
        let source = TypedImageRef::<P>::from_buffer(size.width as u32, size.height as u32, from);
        let source = source.map_err(failed)?;
        let (whole, (left, top), inner) = (to.whole(), to.corner(), to.size());
        let target = TypedImage::<P>::from_buffer(whole.width as u32, whole.height as u32, to.samples());
        let mut window = TypedCroppedImageMut::new(
            target.map_err(failed)?,
            left as u32,
            top as u32,
            inner.width as u32,
            inner.height as u32,
        )
        .map_err(failed)?;
        let options =
            ResizeOptions::new().resize_alg(ResizeAlg::Interpolation(FilterType::Bilinear)).use_alpha(false);
        self.resizer.resize_typed(&source, &mut window, &options).map_err(failed)
    }
}

/// Refuses sides that are too long for a table.
fn admit(size: Size) -> Result<()> {
    if size.width.max(size.height) <= MAX_FILTERED_SIDE {
        return Ok(());
    }
    Err(Error::invalid_arg(format!(
        "the picture has {}x{} pixels, for antialiasing a side may have {MAX_FILTERED_SIDE}",
        size.width, size.height
    )))
}

/// Whether no side grows.
fn shrinks(from: Size, to: Size) -> bool {
    to.width <= from.width && to.height <= from.height
}

#[cold]
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: impl ToString) -> Error {
    Error::internal(format!("resizing failed: {}", error.to_string()))
}

impl Clone for Resampler {
    /// Creates a resampler with the same settings; memory is not copied.
    fn clone(&self) -> Self {
        Resampler::of(self.way)
    }
}

impl std::fmt::Debug for Resampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.way)
    }
}
