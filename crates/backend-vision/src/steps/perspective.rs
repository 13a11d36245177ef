//! `perspective`: the picture within a quadrilateral, upright.

use hippocamp_backend::{Error, Result};
use hippocamp_detection::line_size;
use hippocamp_tensor::DataType;
use serde::Deserialize;

use super::moved::MAX_SIDE;
use super::text_boxes::quads;
use crate::pipeline::Ports;
use crate::resample::{Perspective, Source};
use crate::step::{Step, StepFile};
use crate::value::{
    Affine, Color, Image, ImageKind, Kind, Pixels, Sample, Size, Slot, TensorKind, Value, Values,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PerspectiveFile {
    /// A picture. An input of the model is read where it lies, as every row of a fan-out reads the same one.
    input: String,
    #[serde(rename = "box")]
    quad: String,
    output: String,
    /// Whether a box that is half as tall again as wide, or more, is turned left by 90 degrees.
    #[serde(default)]
    turn_tall: bool,
}

#[derive(Clone, Debug)]
struct PerspectiveStep {
    input: Slot,
    is_image: bool,
    color: Color,
    quad: Slot,
    output: Slot,
    turn_tall: bool,
    /// A tall picture before it is turned.
    tall: Vec<u8>,
}

impl StepFile for PerspectiveFile {
    const OP: &'static str = "perspective";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        let is_image = matches!(ports.kind_of(&self.input), Some(Kind::Image(_)));
        let (input, color) = if is_image {
            let (slot, kind) = ports.read_image("input", &self.input);
            if kind.color.channels() != 3 || kind.sample != Sample::Uint8 {
                ports.fault("input", "a picture of three channels with UINT8 samples was expected");
            }
            (slot, kind.color)
        } else {
            let kind = TensorKind::new(DataType::Uint8, [-1, -1, 3]);
            (ports.read_tensor("input", &self.input, kind).0, Color::Rgb)
        };
        let quad = TensorKind::new(DataType::Fp32, [4, 2]);
        let picture = ImageKind { size: None, color, sample: Sample::Uint8 };
        Box::new(PerspectiveStep {
            input,
            is_image,
            color,
            quad: ports.read_tensor("box", &self.quad, quad).0,
            output: ports.write("output", &self.output, Kind::Image(picture)),
            turn_tall: self.turn_tall,
            tall: Vec::new(),
        })
    }
}

/// A smaller picture than of so many pixels counts as one of so many.
const LEAST_PICTURE: usize = 1024;

impl PerspectiveStep {
    fn source<'a>(&self, values: &'a Values) -> Result<Source<'a>> {
        let (samples, size): (&[u8], Size) = if self.is_image {
            let Image { size, pixels: Pixels::U8(samples), .. } = values.image(self.input)? else {
                return Err(Error::internal("a picture was promised to have UINT8 samples"));
            };
            (samples, *size)
        } else {
            let tensor = values.tensor(self.input)?;
            let side =
                |at: usize| tensor.dims().get(at).map_or(0, |&side| usize::try_from(side).unwrap_or(0));
            (tensor.elements()?, Size::new(side(1), side(0)))
        };
        if samples.is_empty() || samples.len() != 3 * size.pixels() {
            return Err(Error::invalid_arg("a picture of at least one pixel was expected"));
        }
        Ok(Source { samples, width: size.width, height: size.height })
    }
}

impl Step for PerspectiveStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let mut image = values.take_image(self.output);
        let [quad] = quads(values.tensor(self.quad)?.elements()?) else {
            return Err(Error::invalid_arg("a box of four corners was expected"));
        };
        let source = self.source(values)?;
        let (width, height, is_tall) = line_size(quad);
        // A box within the picture is no longer than its diagonal. Whoever sends boxes chooses how much memory they take.
        let longest = ((source.width as f64).hypot(source.height as f64).ceil() as usize).min(MAX_SIDE);
        if !(1..=longest).contains(&width) || !(1..=longest).contains(&height) {
            return Err(Error::invalid_arg(format!(
                "the sides of a box were expected to have from 1 to {longest} pixels in a picture of {}x{}, got \
                 {width}x{height}",
                source.width, source.height
            )));
        }
        // Nor has it more pixels; a box that leaves the picture a little, or whose sides are not parallel, may.
        let most = source.width.saturating_mul(source.height).max(LEAST_PICTURE).saturating_mul(4);
        if width.saturating_mul(height) > most {
            return Err(Error::invalid_arg(format!(
                "a box was expected to have at most {most} pixels in a picture of {}x{}, got {width}x{height}",
                source.width, source.height
            )));
        }
        let map = Perspective::to_quad(quad, (width, height))?;
        let size = Size::new(width, height);
        if is_tall && self.turn_tall {
            let turned = image.begin_u8(Size::new(height, width), self.color)?;
            self.tall.clear();
            let count = turned.len();
            let no_memory =
                |_| Error::unavailable(format!("there is no memory for a picture of {width}x{height}"));
            self.tall.try_reserve_exact(count).map_err(no_memory)?;
            self.tall.resize(count, 0);
            map.write(source, width, &mut self.tall);
            turn_left(&self.tall, size, turned);
        } else {
            map.write(source, width, image.begin_u8(size, self.color)?);
        }
        let size = image.size;
        image.came_from(size, Affine::IDENTITY);
        values.set(self.output, Value::Image(image));
        Ok(())
    }
}

/// Turns by 90 degrees against the clock: the right column becomes the first row.
fn turn_left(from: &[u8], size: Size, to: &mut [u8]) {
    let (pixels, to) = (from.as_chunks::<3>().0, to.as_chunks_mut::<3>().0);
    for (x, row) in to.chunks_exact_mut(size.height.max(1)).enumerate() {
        let column = size.width - 1 - x;
        for (y, pixel) in row.iter_mut().enumerate() {
            *pixel = pixels[y * size.width + column];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_column_becomes_the_first_row() {
        let from: Vec<u8> = (0..6).flat_map(|n| [n; 3]).collect();
        let mut to = vec![0; 18];
        turn_left(&from, Size::new(2, 3), &mut to);
        assert_eq!(to.chunks(3).map(|pixel| pixel[0]).collect::<Vec<_>>(), [1, 3, 5, 0, 2, 4]);
    }
}
