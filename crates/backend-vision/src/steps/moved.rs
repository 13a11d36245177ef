//! What steps have in common that move pixels: the matrix that they emit, and the picture that they make.

use hippocamp_backend::{Error, Result};
use serde::Deserialize;

use super::per_channel::PerChannel;
use crate::pipeline::Ports;
use crate::resample::{Coordinates, Method, Resampler};
use crate::value::{Affine, Color, Image, Kind, Sample, Size, Slot, Value, Values};

/// A matrix as the file asks for it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MatrixFile {
    output: String,
    #[serde(default)]
    direction: Direction,
    /// Pixels of this picture for each step of what the matrix counts in: 4 for a heat map of a quarter of the size.
    stride: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Direction {
    /// From this picture, or the heat map over it, to the picture that was decoded.
    #[default]
    ToRaw,
    /// From the picture that was decoded to this one.
    FromRaw,
}

/// A matrix that is emitted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MatrixPort {
    slot: Slot,
    direction: Direction,
    stride: f64,
}

impl MatrixFile {
    /// Binds what stands under the key `matrix`.
    pub(crate) fn bind(file: Option<MatrixFile>, ports: &mut Ports<'_, '_>) -> Option<MatrixPort> {
        let MatrixFile { output, direction, stride } = file?;
        let stride = stride.unwrap_or(1.0);
        if !(stride.is_finite() && stride > 0.0) {
            ports.fault("matrix", format!("'stride' was expected to be above 0, got {stride}"));
        }
        Some(MatrixPort { slot: ports.write("matrix", &output, Kind::Matrix), direction, stride })
    }
}

impl MatrixPort {
    /// Emits the matrix for a picture whose coordinates come to those of the decoded one by `to_raw`.
    pub(crate) fn emit(port: Option<MatrixPort>, to_raw: Affine, values: &mut Values) -> Result<()> {
        let Some(MatrixPort { slot, direction, stride }) = port else { return Ok(()) };
        let to_raw = to_raw * Affine::scale(stride, stride);
        let matrix = match direction {
            Direction::ToRaw => to_raw,
            Direction::FromRaw => to_raw
                .inverse()
                .ok_or_else(|| Error::invalid_arg("its matrix has no inverse: pixels fall together"))?,
        };
        values.set(slot, Value::Matrix(matrix));
        Ok(())
    }
}

/// How the length of a side becomes a whole number of pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rounding {
    /// Halves to the even number.
    #[default]
    Nearest,
    /// As TensorFlow's `resize_with_pad` and torchvision's `Resize`.
    Floor,
}

/// What resizes by `method`; `antialias` as the file says it.
pub(crate) fn resampler(
    method: Method,
    coordinates: Coordinates,
    antialias: Option<bool>,
    ports: &mut Ports<'_, '_>,
) -> Resampler {
    let fault = match (method, antialias) {
        (Method::Bicubic | Method::Lanczos, Some(false)) => Some(
            "'antialias' was expected to be true, or left out: bicubic and Lanczos are always antialiased",
        ),
        (Method::Area | Method::Nearest, Some(true)) => {
            Some("'antialias' was expected with the method bilinear, bicubic or lanczos")
        }
        _ => None,
    };
    if let Some(fault) = fault {
        ports.fault("antialias", fault);
    }
    let is_filtered = match method {
        Method::Bilinear => antialias == Some(true),
        Method::Bicubic | Method::Lanczos => true,
        Method::Area | Method::Nearest => false,
    };
    if is_filtered && coordinates == Coordinates::TfLegacy {
        ports.fault(
            "coordinates",
            "'tf_legacy' was expected with the method bilinear, and without 'antialias'",
        );
    }
    Resampler::new(method, coordinates, is_filtered)
}

/// The colour of pixels that come from outside of the picture, in the order of its channels; black without one.
pub(crate) fn pad_color(pad: Option<&PerChannel>, color: Color, ports: &mut Ports<'_, '_>) -> [f32; 3] {
    let numbers = PerChannel::of("pad", pad, color.channels(), 0.0, ports);
    std::array::from_fn(|channel| numbers.get(channel).copied().unwrap_or_default() as f32)
}

/// Refuses sides of no pixels, and more pixels than a picture may have.
pub(crate) fn check_size(size: Size, ports: &mut Ports<'_, '_>) {
    for (key, side) in [("width", size.width), ("height", size.height)] {
        if side == 0 || side > MAX_SIDE {
            ports.fault(key, format!("'{key}' was expected to be from 1 to {MAX_SIDE}, got {side}"));
        }
    }
}

/// What a JPEG can have, and few networks take.
pub(crate) const MAX_SIDE: usize = 65_535;

/// A picture that is to be written, with either kind of samples.
pub(crate) enum Canvas<'a> {
    U8(&'a mut [u8]),
    F32(&'a mut [f32]),
}

impl<'a> Canvas<'a> {
    pub(crate) fn begin(
        image: &'a mut Image,
        size: Size,
        color: Color,
        sample: Sample,
    ) -> Result<Canvas<'a>> {
        Ok(match sample {
            Sample::Uint8 => Canvas::U8(image.begin_u8(size, color)?),
            Sample::Fp32 => Canvas::F32(image.begin_f32(size, color)?),
        })
    }
}
