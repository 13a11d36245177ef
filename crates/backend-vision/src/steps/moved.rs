//! What geometric steps share: the matrix that they emit, and the image that they write.

use hippocamp_backend::{Error, Result};
use serde::Deserialize;

use super::per_channel::PerChannel;
use crate::pipeline::Ports;
use crate::resample::{Coordinates, Method, Resampler};
use crate::value::{Affine, Color, Image, Kind, Sample, Size, Slot, Value, Values};

/// The parameters of an emitted matrix.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MatrixFile {
    output: String,
    #[serde(default)]
    direction: Direction,
    /// Image pixels for each unit of the matrix's coordinates: 4 for a heat map of a quarter of the size.
    stride: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Direction {
    /// Maps this image, or its heat map, to the decoded image.
    #[default]
    ToRaw,
    /// Maps the decoded image to this one.
    FromRaw,
}

/// A matrix to emit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MatrixPort {
    slot: Slot,
    direction: Direction,
    stride: f64,
}

impl MatrixFile {
    /// Binds the parameter `matrix`.
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
    /// Emits the matrix of an image; `to_raw` maps its coordinates to those of the decoded image.
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

/// How the length of a side is rounded to whole pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rounding {
    /// To the nearest, halves to even.
    #[default]
    Nearest,
    /// Down, as TensorFlow's `resize_with_pad` and torchvision's `Resize`.
    Floor,
}

/// Creates a resampler from the parameters `method` and `antialias`.
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
        Method::Area | Method::Nearest | Method::Opencv => false,
    };
    if is_filtered && coordinates == Coordinates::TfLegacy {
        ports.fault(
            "coordinates",
            "'tf_legacy' was expected with the method bilinear, and without 'antialias'",
        );
    }
    Resampler::new(method, coordinates, is_filtered)
}

/// The colour of pixels outside of the source, in the order of its channels; black by default.
pub(crate) fn pad_color(pad: Option<&PerChannel>, color: Color, ports: &mut Ports<'_, '_>) -> [f32; 3] {
    let numbers = PerChannel::of("pad", pad, color.channels(), 0.0, ports);
    std::array::from_fn(|channel| numbers.get(channel).copied().unwrap_or_default() as f32)
}

/// Adds a fault for empty sides, and for more pixels than an image may have.
pub(crate) fn check_size(size: Size, ports: &mut Ports<'_, '_>) {
    for (key, side) in [("width", size.width), ("height", size.height)] {
        if side == 0 || side > MAX_SIDE {
            ports.fault(key, format!("'{key}' was expected to be from 1 to {MAX_SIDE}, got {side}"));
        }
    }
}

/// The longest side of an image in pixels, which is the limit of JPEG.
pub(crate) const MAX_SIDE: usize = 65_535;

/// The most pixels of an image whose size the request decides: as many as `decode` accepts unless its step says otherwise.
pub(crate) const MAX_PIXELS: usize = 1 << 26;

/// An image to write, with either type of samples.
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
