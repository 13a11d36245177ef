//! `warp`: applies an affine map to the image.

use hippocamp_backend::{Error, Result};
use serde::Deserialize;

use super::moved::{Canvas, MatrixFile, MatrixPort, check_size, pad_color};
use super::per_channel::PerChannel;
use crate::pipeline::Ports;
use crate::resample::{Warper, Window};
use crate::step::{Step, StepFile};
use crate::value::{Affine, ImageKind, Kind, Sample, Size, Slot, Value, Values};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Warp {
    input: String,
    output: String,
    width: usize,
    height: usize,
    /// The point `[x, y]` of the image that becomes the centre; by default the image's centre.
    center: Option<[f64; 2]>,
    /// The number of image pixels that the result's width covers; by default the image's longer side.
    scale: Option<f64>,
    /// Degrees by which the image is rotated counterclockwise.
    rotation: Option<f64>,
    /// The name of a matrix from the image to the result, instead of the three parameters above.
    transform: Option<String>,
    pad: Option<PerChannel>,
    #[serde(default)]
    data_type: Sample,
    matrix: Option<MatrixFile>,
}

#[derive(Clone, Debug)]
struct WarpStep {
    input: Slot,
    output: Slot,
    size: Size,
    map: Map,
    pad: [f32; 3],
    sample: Sample,
    warper: Warper,
    matrix: Option<MatrixPort>,
}

/// The map from the image to the result.
#[derive(Clone, Copy, Debug)]
enum Map {
    Given(Slot),
    About { center: Option<[f64; 2]>, scale: Option<f64>, rotation: f64 },
}

impl StepFile for Warp {
    const OP: &'static str = "warp";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        let (input, kind) = ports.read_image("input", &self.input);
        let size = Size::new(self.width, self.height);
        check_size(size, ports);
        let map = self.map(ports);
        let pad = pad_color(self.pad.as_ref(), kind.color, ports);
        let kind = ImageKind { size: Some(size), sample: self.data_type, ..kind };
        Box::new(WarpStep {
            input,
            output: ports.write("output", &self.output, Kind::Image(kind)),
            size,
            map,
            pad,
            sample: self.data_type,
            warper: Warper::default(),
            matrix: MatrixFile::bind(self.matrix, ports),
        })
    }
}

impl Warp {
    fn map(&self, ports: &mut Ports<'_, '_>) -> Map {
        if let Some(transform) = &self.transform {
            if self.center.is_some() || self.scale.is_some() || self.rotation.is_some() {
                ports.fault(
                    "transform",
                    "'transform' was expected alone, without 'center', 'scale' and 'rotation'",
                );
            }
            return Map::Given(ports.read_matrix("transform", transform));
        }
        if self.scale.is_some_and(|scale| !(scale.is_finite() && scale > 0.0)) {
            ports.fault("scale", "'scale' was expected to be above 0");
        }
        let numbers = self.center.into_iter().flatten().chain(self.rotation);
        if !numbers.into_iter().all(f64::is_finite) {
            ports.fault("center", "'center' and 'rotation' were expected to be finite");
        }
        Map::About { center: self.center, scale: self.scale, rotation: self.rotation.unwrap_or(0.0) }
    }
}

/// The map that moves `center` to the centre of an image of that size, whose width then covers `scale` pixels, with
/// rotation. Equals the map that CenterNet's `get_affine_transform` computes from three points.
fn about(center: [f64; 2], scale: f64, rotation: f64, size: Size) -> Affine {
    let (width, height) = (size.width as f64, size.height as f64);
    let factor = width / scale;
    let (sin, cos) = rotation.to_radians().sin_cos();
    let turn = Affine([cos * factor, sin * factor, 0.0, -sin * factor, cos * factor, 0.0]);
    Affine::shift(width / 2.0, height / 2.0) * turn * Affine::shift(-center[0], -center[1])
}

impl Step for WarpStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let mut image = values.take_image(self.output);
        let from = values.image(self.input)?;
        let map = match self.map {
            Map::Given(slot) => values.matrix(slot)?,
            Map::About { center, scale, rotation } => {
                let (width, height) = (from.size.width as f64, from.size.height as f64);
                let center = center.unwrap_or([width / 2.0, height / 2.0]);
                about(center, scale.unwrap_or(width.max(height)), rotation, self.size)
            }
        };
        let to_source = map.inverse().ok_or_else(|| {
            Error::invalid_arg(format!("the matrix {:?} has no inverse: pixels fall together", map.rows()))
        })?;
        let channels = from.channels();
        match Canvas::begin(&mut image, self.size, from.color, self.sample)? {
            Canvas::U8(samples) => {
                let mut window = Window::whole_of(samples, self.size, channels);
                self.warper.run(from, to_source, self.pad, &mut window);
            }
            Canvas::F32(samples) => {
                let mut window = Window::whole_of(samples, self.size, channels);
                self.warper.run(from, to_source, self.pad, &mut window);
            }
        }
        let to_raw = from.to_raw * to_source;
        image.came_from(from.raw_size, to_raw);
        values.set(self.output, Value::Image(image));
        MatrixPort::emit(self.matrix, to_raw, values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(map: Affine, want: [f64; 6]) {
        for (got, want) in map.0.iter().zip(want) {
            assert!((got - want).abs() < 1e-9, "{map:?} {want:?}");
        }
    }

    /// The result of `cv2.getAffineTransform` for CenterNet's three points.
    #[test]
    fn the_map_is_that_of_centernet() {
        close(about([640.0, 360.0], 1280.0, 0.0, Size::new(512, 512)), [0.4, 0.0, 0.0, 0.0, 0.4, 112.0]);
        let (sin, cos) = 30f64.to_radians().sin_cos();
        let map = about([100.0, 50.0], 200.0, 30.0, Size::new(64, 32));
        let (right, down) = map.apply(100.0, 50.0);
        assert!((right - 32.0).abs() < 1e-9 && (down - 16.0).abs() < 1e-9);
        // CenterNet's second point: half a width above the centre, rotated.
        let (x, y) = map.apply(100.0 + 100.0 * sin, 50.0 - 100.0 * cos);
        assert!((x - 32.0).abs() < 1e-9 && (y - -16.0).abs() < 1e-9, "{x} {y}");
    }
}
