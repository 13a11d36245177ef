//! `crop`: cuts out a part of the image.

use hippocamp_backend::{Error, Result};
use serde::Deserialize;

use super::moved::{MatrixFile, MatrixPort, Rounding, check_size};
use crate::pipeline::Ports;
use crate::step::{Step, StepFile};
use crate::value::{Affine, ImageKind, Kind, Pixels, Size, Slot, Value, Values};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Crop {
    input: String,
    output: String,
    width: usize,
    height: usize,
    /// The part's upper left corner; if both are missing, the part is centred.
    left: Option<usize>,
    top: Option<usize>,
    /// How the corner of a centred part is rounded; down by default.
    rounding: Option<Rounding>,
    matrix: Option<MatrixFile>,
}

#[derive(Clone, Debug)]
struct CropStep {
    input: Slot,
    output: Slot,
    size: Size,
    corner: Option<(usize, usize)>,
    rounding: Rounding,
    matrix: Option<MatrixPort>,
}

impl StepFile for Crop {
    const OP: &'static str = "crop";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        let (input, kind) = ports.read_image("input", &self.input);
        let size = Size::new(self.width, self.height);
        check_size(size, ports);
        let corner = match (self.left, self.top) {
            (Some(left), Some(top)) => Some((left, top)),
            (None, None) => None,
            _ => {
                ports.fault(
                    "output",
                    "the corner was expected as 'left' and 'top', or neither for the middle",
                );
                None
            }
        };
        if corner.is_some() && self.rounding.is_some() {
            ports.fault(
                "rounding",
                "'rounding' was expected without 'left' and 'top', where there is a middle to find",
            );
        }
        let kind = ImageKind { size: Some(size), ..kind };
        Box::new(CropStep {
            input,
            output: ports.write("output", &self.output, Kind::Image(kind)),
            size,
            corner,
            rounding: self.rounding.unwrap_or(Rounding::Floor),
            matrix: MatrixFile::bind(self.matrix, ports),
        })
    }
}

impl CropStep {
    fn half(&self, length: usize) -> usize {
        match self.rounding {
            Rounding::Floor => length / 2,
            Rounding::Nearest => (length as f64 / 2.0).round_ties_even() as usize,
        }
    }

    fn corner(&self, from: Size) -> Result<(usize, usize)> {
        let room = (from.width.checked_sub(self.size.width), from.height.checked_sub(self.size.height));
        match (room, self.corner) {
            ((Some(width), Some(height)), None) => Ok((self.half(width), self.half(height))),
            ((Some(width), Some(height)), Some((left, top))) if left <= width && top <= height => {
                Ok((left, top))
            }
            _ => {
                let Size { width, height } = self.size;
                let at = self.corner.map_or(String::new(), |(left, top)| format!(" at ({left}, {top})"));
                Err(Error::invalid_arg(format!(
                    "a picture of {}x{} has no part of {width}x{height}{at}",
                    from.width, from.height
                )))
            }
        }
    }
}

impl Step for CropStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let mut image = values.take_image(self.output);
        let from = values.image(self.input)?;
        let (left, top) = self.corner(from.size)?;
        let stride = from.channels();
        let part = |y: usize| ((top + y) * from.size.width + left) * stride..;
        let length = self.size.width * stride;
        match &from.pixels {
            Pixels::U8(samples) => {
                let to = image.begin_u8(self.size, from.color)?;
                for (y, row) in to.chunks_exact_mut(length).enumerate() {
                    row.copy_from_slice(&samples[part(y)][..length]);
                }
            }
            Pixels::F32(samples) => {
                let to = image.begin_f32(self.size, from.color)?;
                for (y, row) in to.chunks_exact_mut(length).enumerate() {
                    row.copy_from_slice(&samples[part(y)][..length]);
                }
            }
        }
        let to_raw = from.to_raw * Affine::shift(left as f64, top as f64);
        image.came_from(from.raw_size, to_raw);
        values.set(self.output, Value::Image(image));
        MatrixPort::emit(self.matrix, to_raw, values)
    }
}
