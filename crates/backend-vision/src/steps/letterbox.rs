//! `letterbox`: resizes the image to fit into a size, keeping its aspect ratio, and adds a border.

use hippocamp_backend::Result;
use serde::Deserialize;

use super::moved::{Canvas, MatrixFile, MatrixPort, Rounding, check_size, pad_color, resampler};
use super::per_channel::PerChannel;
use crate::pipeline::Ports;
use crate::resample::{Coordinates, Method, Resampler, Scalar, Window};
use crate::step::{Step, StepFile};
use crate::value::{Affine, Frame, ImageKind, Kind, Sample, Size, Slot, Value, Values};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Letterbox {
    input: String,
    output: String,
    width: usize,
    height: usize,
    /// The colour of the border in the image's channels; black by default.
    pad: Option<PerChannel>,
    /// Whether to enlarge smaller images.
    scale_up: Option<bool>,
    #[serde(default)]
    position: Position,
    #[serde(default)]
    rounding: Rounding,
    #[serde(default)]
    method: Method,
    #[serde(default)]
    coordinates: Coordinates,
    antialias: Option<bool>,
    #[serde(default)]
    data_type: Sample,
    matrix: Option<MatrixFile>,
    /// Whether the matrix ignores the rounding to whole pixels.
    #[serde(default)]
    ideal_matrix: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Position {
    /// Centred; an odd pixel goes to the right and to the bottom.
    #[default]
    Center,
    TopLeft,
}

#[derive(Clone, Debug)]
struct LetterboxStep {
    input: Slot,
    output: Slot,
    fit: Fit,
    pad: [f32; 3],
    sample: Sample,
    ideal_matrix: bool,
    resampler: Resampler,
    matrix: Option<MatrixPort>,
}

/// How the image is fitted into the box.
#[derive(Clone, Copy, Debug)]
struct Fit {
    size: Size,
    scale_up: bool,
    position: Position,
    rounding: Rounding,
}

impl StepFile for Letterbox {
    const OP: &'static str = "letterbox";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        let (input, kind) = ports.read_image("input", &self.input);
        let size = Size::new(self.width, self.height);
        check_size(size, ports);
        let pad = pad_color(self.pad.as_ref(), kind.color, ports);
        let kind = ImageKind { size: Some(size), sample: self.data_type, ..kind };
        Box::new(LetterboxStep {
            input,
            output: ports.write("output", &self.output, Kind::Image(kind)),
            fit: Fit {
                size,
                scale_up: self.scale_up.unwrap_or(true),
                position: self.position,
                rounding: self.rounding,
            },
            pad,
            sample: self.data_type,
            ideal_matrix: self.ideal_matrix,
            resampler: resampler(self.method, self.coordinates, self.antialias, ports),
            matrix: MatrixFile::bind(self.matrix, ports),
        })
    }
}

impl Fit {
    /// Source pixels for each pixel of the box.
    fn factor(self, from: Size) -> f64 {
        let factor =
            (from.width as f64 / self.size.width as f64).max(from.height as f64 / self.size.height as f64);
        if self.scale_up { factor } else { factor.max(1.0) }
    }

    /// The corner and size of the image in the box.
    fn place(self, from: Size) -> ((usize, usize), Size) {
        let factor = self.factor(from);
        let side = |from: usize, most: usize| {
            let side = from as f64 / factor;
            let side = match self.rounding {
                Rounding::Nearest => side.round_ties_even(),
                // A side that fits exactly must not lose a pixel to a rounding error of the division.
                Rounding::Floor => (side + 1e-9).floor(),
            };
            (side as usize).clamp(1, most)
        };
        let inner = Size::new(side(from.width, self.size.width), side(from.height, self.size.height));
        let corner = match self.position {
            Position::TopLeft => (0, 0),
            Position::Center => ((self.size.width - inner.width) / 2, (self.size.height - inner.height) / 2),
        };
        (corner, inner)
    }

    /// The map from the box to the source, with sizes rounded to whole pixels.
    fn to_source(self, from: Size) -> Affine {
        let ((left, top), inner) = self.place(from);
        Affine::scale(from.width as f64 / inner.width as f64, from.height as f64 / inner.height as f64)
            * Affine::shift(-(left as f64), -(top as f64))
    }

    /// The map without that rounding: one factor for both sides, centre to centre.
    fn ideal_to_source(self, from: Size) -> Affine {
        let scale = Affine::scale(self.factor(from), self.factor(from));
        if self.position == Position::TopLeft {
            return scale;
        }
        let (width, height) = (self.size.width as f64, self.size.height as f64);
        Affine::shift(from.width as f64 / 2.0, from.height as f64 / 2.0)
            * scale
            * Affine::shift(-width / 2.0, -height / 2.0)
    }
}

impl Step for LetterboxStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let mut image = values.take_image(self.output);
        let from = values.image(self.input)?;
        let channels = from.channels();
        let (corner, inner) = self.fit.place(from.size);
        let mut frame = Frame { corner, inner, color: self.pad };
        match Canvas::begin(&mut image, self.fit.size, from.color, self.sample)? {
            Canvas::U8(samples) => {
                frame.color = frame.color.map(|sample| u8::from_f32(sample).to_f32());
                self.resampler.write_u8(from, framed(samples, self.fit.size, channels, frame))?;
            }
            Canvas::F32(samples) => {
                self.resampler.write_f32(from, framed(samples, self.fit.size, channels, frame))?;
            }
        }
        let to_raw = from.to_raw * self.fit.to_source(from.size);
        let emitted =
            if self.ideal_matrix { from.to_raw * self.fit.ideal_to_source(from.size) } else { to_raw };
        image.came_from(from.raw_size, to_raw);
        image.frame = Some(frame);
        values.set(self.output, Value::Image(image));
        MatrixPort::emit(self.matrix, emitted, values)
    }
}

/// The window for the image, after filling the border around it.
fn framed<T: Scalar>(samples: &mut [T], size: Size, channels: usize, frame: Frame) -> Window<'_, T> {
    let mut window = Window::whole_of(samples, size, channels).part(frame.corner, frame.inner);
    window.fill_around(&frame.color.map(T::from_f32)[..channels]);
    window
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(width: usize, height: usize) -> Fit {
        Fit {
            size: Size::new(width, height),
            scale_up: true,
            position: Position::Center,
            rounding: Rounding::Nearest,
        }
    }

    #[test]
    fn fits_and_is_centred() {
        assert_eq!(fit(640, 640).place(Size::new(1280, 720)), ((0, 140), Size::new(640, 360)));
        assert_eq!(fit(640, 640).place(Size::new(449, 299)), ((0, 107), Size::new(640, 426)));
        assert_eq!(fit(640, 640).place(Size::new(1, 5000)), ((319, 0), Size::new(1, 640)));
        let small = Fit { scale_up: false, ..fit(64, 64) };
        assert_eq!(small.place(Size::new(10, 11)), ((27, 26), Size::new(10, 11)));
        let corner = Fit { position: Position::TopLeft, rounding: Rounding::Floor, ..fit(512, 512) };
        assert_eq!(corner.place(Size::new(600, 401)), ((0, 0), Size::new(512, 342)));
    }

    #[test]
    fn the_matrix_leads_back() {
        let map = fit(640, 640).to_source(Size::new(1280, 720));
        assert_eq!(map, Affine([2.0, 0.0, 0.0, 0.0, 2.0, -280.0]));
        assert_eq!(fit(640, 640).ideal_to_source(Size::new(1280, 720)), map);
    }

    /// A heat map of 128x128 over a box of 512x512, for an image of 1280x720.
    #[test]
    fn the_matrix_of_a_heat_map() {
        let map = fit(512, 512).ideal_to_source(Size::new(1280, 720)) * Affine::scale(4.0, 4.0);
        assert_eq!(map, Affine([10.0, 0.0, 0.0, 0.0, 10.0, -280.0]));
    }
}
