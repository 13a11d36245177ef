//! Pictures in another size: bilinear, area and nearest.
//!
//! Eight-bit pictures with half-pixel centres, which is nearly all, are resized by `fast_image_resize`; what it does not do
//! is done here: OpenCV's `INTER_AREA` and `INTER_NEAREST`, TensorFlow's old corners, and samples that are not rounded.

mod area;
mod bilinear;
mod nearest;
#[cfg(test)]
mod tests;
mod warp;
mod window;

use fast_image_resize::images::{CroppedImageMut, Image as Target, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use hippocamp_backend::{Error, Result};
use serde::Deserialize;

use crate::value::{Image, Pixels, Size};
use area::Area;
use bilinear::{Bilinear, Places};
pub(crate) use warp::Warper;
pub(crate) use window::Window;

/// How samples are made of those of the picture before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Method {
    /// From the four nearest, also where the picture shrinks: OpenCV's `INTER_LINEAR`.
    #[default]
    Bilinear,
    /// The mean of all that a pixel covers: OpenCV's `INTER_AREA`.
    Area,
    /// The one at the pixel's upper left corner: OpenCV's `INTER_NEAREST`.
    Nearest,
}

/// Where a pixel is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Coordinates {
    /// In the middle of its area, as in OpenCV, Pillow and PyTorch.
    #[default]
    HalfPixel,
    /// At its upper left corner, as TensorFlow 1 has it by default.
    TfLegacy,
}

/// A number that a sample is kept as.
pub(crate) trait Scalar: Copy + Default + Send + Sync {
    fn to_f32(self) -> f32;
    /// The nearest that there is.
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

/// Resizes pictures. Keeps its tables and memory from one to the next.
#[derive(Default)]
pub(crate) struct Resampler {
    pub(crate) method: Method,
    pub(crate) coordinates: Coordinates,
    resizer: Resizer,
    bilinear: Bilinear,
    area: Area,
    columns: Vec<usize>,
}

impl Resampler {
    pub(crate) fn new(method: Method, coordinates: Coordinates) -> Resampler {
        Resampler { method, coordinates, ..Resampler::default() }
    }

    /// Writes a picture into a window of an 8-bit one, in the window's size.
    pub(crate) fn write_u8(&mut self, from: &Image, mut to: Window<'_, u8>) -> Result<()> {
        match &from.pixels {
            Pixels::U8(samples) if self.is_plain(from.size, to.size()) => {
                return self.fast(samples, from.size, &mut to);
            }
            Pixels::U8(samples) => self.run(samples, from.size, &mut to),
            Pixels::F32(samples) => self.run(samples, from.size, &mut to),
        }
        Ok(())
    }

    /// Writes a picture into a window of one whose samples are not rounded, in the window's size.
    pub(crate) fn write_f32(&mut self, from: &Image, mut to: Window<'_, f32>) {
        match &from.pixels {
            Pixels::U8(samples) => self.run(samples, from.size, &mut to),
            Pixels::F32(samples) => self.run(samples, from.size, &mut to),
        }
    }

    fn run<S: Scalar, T: Scalar>(&mut self, from: &[S], size: Size, to: &mut Window<'_, T>) {
        match self.method {
            _ if size == to.size() => nearest::run(from, size, &mut self.columns, to),
            Method::Nearest => nearest::run(from, size, &mut self.columns, to),
            Method::Area if shrinks(size, to.size()) => self.area.run(from, size, to),
            Method::Area => self.bilinear.run(from, size, Places::Area, to),
            Method::Bilinear if self.coordinates == Coordinates::TfLegacy => {
                self.bilinear.run(from, size, Places::TfLegacy, to);
            }
            Method::Bilinear => self.bilinear.run(from, size, Places::HalfPixel, to),
        }
    }

    /// Whether this is what `fast_image_resize` does.
    fn is_plain(&self, from: Size, to: Size) -> bool {
        self.method == Method::Bilinear && self.coordinates == Coordinates::HalfPixel && from != to
    }

    fn fast(&mut self, from: &[u8], size: Size, to: &mut Window<'_, u8>) -> Result<()> {
        let kind = if to.channels() == 1 { PixelType::U8 } else { PixelType::U8x3 };
        let source = ImageRef::new(size.width as u32, size.height as u32, from, kind).map_err(failed)?;
        let (whole, (left, top), inner) = (to.whole(), to.corner(), to.size());
        let mut target = Target::from_slice_u8(whole.width as u32, whole.height as u32, to.samples(), kind)
            .map_err(failed)?;
        let mut window = CroppedImageMut::new(
            &mut target,
            left as u32,
            top as u32,
            inner.width as u32,
            inner.height as u32,
        )
        .map_err(failed)?;
        let options =
            ResizeOptions::new().resize_alg(ResizeAlg::Interpolation(FilterType::Bilinear)).use_alpha(false);
        self.resizer.resize(&source, &mut window, &options).map_err(failed)
    }
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
    /// One that does the same; memory is not copied.
    fn clone(&self) -> Self {
        Resampler::new(self.method, self.coordinates)
    }
}

impl std::fmt::Debug for Resampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?}", self.method, self.coordinates)
    }
}
