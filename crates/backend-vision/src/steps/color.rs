//! `color`: converts an image to other channels.

use hippocamp_backend::Result;
use serde::Deserialize;

use crate::pipeline::Ports;
use crate::resample::Scalar;
use crate::step::{Step, StepFile};
use crate::value::{Color, ImageKind, Kind, Pixels, Slot, Value, Values};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recolor {
    input: String,
    output: String,
    color: Color,
}

#[derive(Clone, Debug)]
struct RecolorStep {
    input: Slot,
    output: Slot,
    color: Color,
}

impl StepFile for Recolor {
    const OP: &'static str = "color";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        let (input, kind) = ports.read_image("input", &self.input);
        let kind = ImageKind { color: self.color, ..kind };
        let output = ports.write("output", &self.output, Kind::Image(kind));
        Box::new(RecolorStep { input, output, color: self.color })
    }
}

impl Step for RecolorStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let mut image = values.take_image(self.output);
        let from = values.image(self.input)?;
        match &from.pixels {
            Pixels::U8(samples) => {
                recolor(samples, from.color, self.color, image.begin_u8(from.size, self.color)?);
            }
            Pixels::F32(samples) => {
                recolor(samples, from.color, self.color, image.begin_f32(from.size, self.color)?);
            }
        }
        image.came_from(from.raw_size, from.to_raw);
        values.set(self.output, Value::Image(image));
        Ok(())
    }
}

fn recolor<T: Scalar>(from: &[T], from_color: Color, color: Color, to: &mut [T]) {
    let pixels = from.chunks_exact(from_color.channels()).zip(to.chunks_exact_mut(color.channels()));
    match (from_color, color) {
        (Color::Rgb, Color::Bgr) | (Color::Bgr, Color::Rgb) => {
            pixels.for_each(|(from, to)| to.copy_from_slice(&[from[2], from[1], from[0]]));
        }
        (Color::Grey, Color::Rgb | Color::Bgr) => pixels.for_each(|(from, to)| to.fill(from[0])),
        (Color::Rgb, Color::Grey) => pixels.for_each(|(from, to)| to[0] = luma(from[0], from[1], from[2])),
        (Color::Bgr, Color::Grey) => pixels.for_each(|(from, to)| to[0] = luma(from[2], from[1], from[0])),
        (Color::Rgb, Color::Rgb) | (Color::Bgr, Color::Bgr) | (Color::Grey, Color::Grey) => {
            to.copy_from_slice(from);
        }
    }
}

/// Luma by ITU-R BT.601.
fn luma<T: Scalar>(r: T, g: T, b: T) -> T {
    T::from_f32(0.299 * r.to_f32() + 0.587 * g.to_f32() + 0.114 * b.to_f32())
}
